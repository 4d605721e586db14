// SPDX-License-Identifier: Apache-2.0

import Synchronization
import VMBus

extension VHDXImage {
  /// Before the first change: the range is sound, the image takes writes, and its header says that it is being changed.
  func prepareToWrite(_ offset: UInt64, _ count: UInt64) throws(ImageError) {
    let mode = try state.withLock { state throws(ImageError) -> VHDXState.Mode in
      if state.mode != .untouched { try self.checkWritable(state.mode) }
      try self.check(offset, count, state.geometry)
      return state.mode
    }
    if mode == .untouched { try commits.withLock { committer throws(ImageError) in try self.beginWriting(&committer) } }
  }

  /// New identifiers and an empty log, durable before anything else changes. The log gets its first entry before the header
  /// names it: a log in use always has one.
  func beginWriting(_ committer: inout VHDXCommitter) throws(ImageError) {
    guard state.withLock({ $0.mode }) == .untouched else { return }
    var log = VHDXLogWriter(identifier: .random(), range: committer.headers.current.logRange)
    let size = try store.size()
    do throws(StoreError) {
      try log.append([], flushedFileByteCount: committer.flushedFileByteCount, lastFileByteCount: size, to: store)
      try store.flush()
    } catch { throw ImageError(error, structure: "log") }
    log.markApplied()
    log.markFlushed()
    let identifier = committer.keepsIdentifier ? committer.headers.current.dataWriteIdentifier : .random()
    do throws(ImageError) {
      try committer.headers.update(in: store) { header in
        header.fileWriteIdentifier = .random()
        header.dataWriteIdentifier = identifier
        header.logIdentifier = log.identifier
      }
    } catch {
      // It may or may not be durable; only a new look at the file can tell.
      if !error.isNoSpace { poison() }
      throw error
    }
    committer.flushedFileByteCount = size
    committer.log = log
    state.withLock { state in
      state.dataWriteIdentifier = identifier
      state.mode = .writing
    }
  }

  public func flush() throws(ImageError) {
    let ticket = flushesAsked.add(1, ordering: .sequentiallyConsistent).newValue
    try commits.withLock { committer throws(ImageError) in
      // Somebody else's commit began after this flush was asked for.
      guard committer.flushesDone < ticket else { return }
      let covered = flushesAsked.load(ordering: .sequentiallyConsistent)
      try self.commit(&committer)
      committer.flushesDone = covered
    }
  }

  /// What one commit carries.
  private struct Batch {
    var pages: [VHDXLogPage]
    var freed: [VHDXSpace.Piece]
    var needsBarrier: Bool
  }

  /// Makes everything durable that was written or changed before. Nothing is half done when it throws: a failure of the log
  /// or of a flush poisons the image, a host without space leaves everything to be tried again.
  func commit(_ committer: inout VHDXCommitter) throws(ImageError) {
    let batch = try state.withLock { state throws(ImageError) -> Batch? in
      if state.mode == .readOnly || state.mode == .untouched { return nil }
      try self.checkWritable(state.mode)
      defer {
        state.needsBarrier = false
        state.extraPages = []
      }
      return Batch(
        pages: state.pages.takeChanged() + state.extraPages, freed: state.space.takeFreed(),
        needsBarrier: state.needsBarrier)
    }
    guard let batch else { return }
    do throws(ImageError) {
      try writePagesInPlace(&committer)
      if !batch.pages.isEmpty { try writeLog(batch, &committer) }
    } catch {
      state.withLock { state in
        state.pages.putBack(batch.pages)
        state.space.putBack(batch.freed)
        state.needsBarrier = state.needsBarrier || batch.needsBarrier
        if !error.isNoSpace { state.mode = .poisoned }
      }
      throw error
    }
    try flushStore(&committer)
    committer.pagesOutOfPlace += batch.pages
    // Durable by now, whatever comes of the rest.
    do throws(ImageError) {
      try writePagesInPlace(&committer)
    } catch  where error.isNoSpace {
      // The log has them; the next commit tries again.
    } catch {
      poison()
      throw error
    }
    if !batch.freed.isEmpty {
      let epoch = leases.advance()
      state.withLock { $0.space.quarantine(batch.freed, epoch: epoch) }
    }
    punch()
  }

  private func writeLog(_ batch: Batch, _ committer: inout VHDXCommitter) throws(ImageError) {
    let hasRoom = committer.log?.hasRoom(forPages: batch.pages.count) ?? false
    if batch.needsBarrier || !hasRoom { try flushStore(&committer) }
    let size = state.withLock { $0.space.endOfFile }
    do throws(StoreError) {
      try committer.log?.append(
        batch.pages, flushedFileByteCount: committer.flushedFileByteCount, lastFileByteCount: size, to: store)
    } catch { throw ImageError(error, structure: "log") }
  }

  /// A flush that fails leaves unknown what is durable: the image takes no more writes.
  private func flushStore(_ committer: inout VHDXCommitter) throws(ImageError) {
    let (size, punched) = state.withLock { ($0.space.endOfFile, $0.space.punchedCount) }
    do throws(ImageError) { try store.makeDurable() } catch {
      poison()
      throw error
    }
    committer.log?.markFlushed()
    committer.flushedFileByteCount = size
    state.withLock { $0.space.markClean(punched) }
  }

  /// Not durable until the next flush, which is early enough: the log has them.
  private func writePagesInPlace(_ committer: inout VHDXCommitter) throws(ImageError) {
    let pages = committer.pagesOutOfPlace
    var index = 0
    while index < pages.count {
      // Neighbours in one write.
      var bytes = pages[index].bytes
      var next = index + 1
      while next < pages.count, pages[next].offset == pages[index].offset + UInt64(bytes.count) {
        bytes += pages[next].bytes
        next += 1
      }
      try store.save("metadata", bytes, at: pages[index].offset)
      index = next
    }
    committer.pagesOutOfPlace = []
    committer.log?.markApplied()
    if !pages.isEmpty { state.withLock { $0.pages.markInPlace(pages) } }
  }

  /// Gives back the space of blocks that nothing points at and no I/O is under way on.
  private func punch() {
    let pieces = state.withLock { $0.space.takePunchable(self.leases) }
    for piece in pieces {
      do throws(StoreError) {
        try store.deallocate(at: piece.offset, count: piece.byteCount)
        state.withLock { $0.space.markPunched(piece) }
      } catch  where error.reason == .unsupported {
        state.withLock { $0.space.markSoiled(piece) }
      } catch {
        // Lost until the image is opened again: a gap then.
      }
    }
  }

  func poison() { state.withLock { if $0.mode != .closed { $0.mode = .poisoned } } }

  public func close() throws(ImageError) {
    try commits.withLock { committer throws(ImageError) in
      let mode = state.withLock { $0.mode }
      if mode == .closed { return }
      if mode == .writing {
        try self.commit(&committer)
        try self.finish(&committer)
      }
      self.state.withLock { $0.mode = .closed }
    }
    try parent?.close()
  }

  /// Everything in place and durable, then a header that says so, then the free end of the file cut off.
  private func finish(_ committer: inout VHDXCommitter) throws(ImageError) {
    try writePagesInPlace(&committer)
    try flushStore(&committer)
    do throws(ImageError) {
      try committer.headers.update(in: store) { $0.logIdentifier = .zero }
    } catch {
      if !error.isNoSpace { poison() }
      throw error
    }
    let (end, size) = state.withLock { (UInt64($0.space.cutEnd()), $0.space.endOfFile) }
    if end < size {
      try store.resize(to: end)
      try store.makeDurable()
    }
  }
}

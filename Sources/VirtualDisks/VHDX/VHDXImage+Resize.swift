// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension VHDXImage {
  /// Growing may move the block table to a larger place at the end of the file; the entry that moves it and the new size are
  /// one log entry. Shrinking cuts off only what reads as zeroes.
  public func resize(to byteCount: UInt64) throws(ImageError) {
    let old = state.withLock { $0.geometry }
    var new = old
    new.virtualByteCount = byteCount
    if let flaw = new.flaw { throw store.invalid("virtual disk size", flaw) }
    guard byteCount != old.virtualByteCount else { return }
    if let parent, parent.information.virtualByteCount > min(byteCount, old.virtualByteCount) {
      throw store.invalid("virtual disk size", "a disk cannot end before its parent does when it is resized")
    }
    try prepareToWrite(0, 0)
    try commits.withLock { committer throws(ImageError) in
      self.state.withLock { $0.isMoving = true }
      defer { self.state.withLock { $0.isMoving = false } }
      try self.commit(&committer)
      guard committer.pagesOutOfPlace.isEmpty else {
        throw ImageError(self.store.error(.write, .noSpace), structure: "metadata")
      }
      if byteCount < old.virtualByteCount {
        try self.shrink(to: byteCount, &committer)
      } else {
        try self.grow(to: byteCount, &committer)
      }
    }
  }

  private func grow(to byteCount: UInt64, _ committer: inout VHDXCommitter) throws(ImageError) {
    let (old, table, sizeOffset) = state.withLock { ($0.geometry, $0.blockTable, $0.virtualSizeOffset) }
    var new = old
    new.virtualByteCount = byteCount
    let unit = VHDXFormat.mebibyte
    let needed = (new.tableByteCount + unit - 1) / unit * unit
    let place = needed > table.upperBound - table.lowerBound ? try newTable(needed, old, table) : table
    // Not in use yet, so they need no log; but durable before the size that brings them into use. Older entries of the log
    // have settled with the caller's commit: none is replayed over them once the size has changed.
    try clearTail(old)
    try fillEntries(old, new, place)
    try store.makeDurable()
    var pages = [try sizePage(sizeOffset, byteCount)]
    if place != table { pages += try regionPages(place) }
    state.withLock { $0.extraPages = pages }
    try commit(&committer)
    state.withLock { state in
      state.geometry = new
      guard place != table else { return }
      state.blockTable = place
      state.pages.removeAll()
    }
    guard place != table else { return }
    // Until no entry of the log speaks of the old table's place, nothing else may live there.
    try settle(&committer)
    state.withLock { $0.space.free(.init(offset: table.lowerBound, byteCount: table.upperBound - table.lowerBound)) }
  }

  /// What the last block holds behind the disk's end becomes visible: it must be zeroes.
  private func clearTail(_ geometry: VHDXGeometry) throws(ImageError) {
    let size = geometry.blockByteCount
    let inBlock = geometry.virtualByteCount % size
    guard inBlock != 0 else { return }
    let entry = try state.withLock { state throws(ImageError) in
      try state.entry(ofBlock: geometry.virtualByteCount / size, in: self.store)
    }
    guard entry.state.hasSpace else { return }
    do throws(StoreError) { try store.writeZeroes(at: entry.offset + inBlock, count: size - inBlock) } catch {
      throw ImageError(error)
    }
  }

  private func sizePage(_ offset: UInt64, _ byteCount: UInt64) throws(ImageError) -> VHDXLogPage {
    let start = offset / VHDXFormat.pageByteCount * VHDXFormat.pageByteCount
    // An item may lie anywhere, but one that straddles a page is nothing that any writer makes.
    guard offset - start <= VHDXFormat.pageByteCount - 8 else {
      throw store.unsupported("virtual disk size", at: offset, "it straddles a page, so that the size cannot change")
    }
    var bytes = try store.load("virtual disk size", at: start, count: Int(VHDXFormat.pageByteCount))
    bytes.setLittle(byteCount, at: Int(offset - start))
    return VHDXLogPage(offset: start, bytes: bytes)
  }

  /// The pages of both region tables that change when the block table moves.
  private func regionPages(_ table: Range<UInt64>) throws(ImageError) -> [VHDXLogPage] {
    let new = try VHDXRegions.table(in: store, movingBlockTableTo: table)
    let page = Int(VHDXFormat.pageByteCount)
    var result: [VHDXLogPage] = []
    for offset in VHDXFormat.regionTableOffsets {
      let old = try store.load("region table", at: offset, count: new.count)
      // A copy that is damaged or older becomes the same as the other one, at once and not by the log.
      let differing = stride(from: 0, to: new.count, by: page).filter { old[$0..<$0 + page] != new[$0..<$0 + page] }
      guard differing.count <= 2 else {
        throw store.damaged("region table", at: offset, "the two copies differ, so that the block table cannot move")
      }
      result += differing.map { VHDXLogPage(offset: offset + UInt64($0), bytes: Array(new[$0..<$0 + page])) }
    }
    return result
  }

  /// Space for a larger table, with the old one's entries copied into it.
  private func newTable(
    _ byteCount: UInt64, _ geometry: VHDXGeometry, _ old: Range<UInt64>
  ) throws(ImageError) -> Range<UInt64> {
    let place = try state.withLock { state throws(ImageError) -> UInt64 in
      try state.space.allocateAtEnd(byteCount, in: self.store)
    }
    var done: UInt64 = 0
    while done < geometry.tableByteCount {
      let part = Int(min(geometry.tableByteCount - done, VHDXFormat.mebibyte))
      let bytes = try store.load("block table", at: old.lowerBound + done, count: part)
      if !bytes.isZero { try store.save("block table", bytes, at: place + done) }
      done += UInt64(part)
    }
    return place..<place + byteCount
  }

  /// The entries from the old end to the new one: nothing there, or, on a fixed disk, new blocks. The rest of the table may
  /// hold anything that a larger disk left there; a differencing table is whole chunks, so the rest of its last chunk too,
  /// up to the sector bitmap's entry, which stays.
  private func fillEntries(
    _ old: VHDXGeometry, _ new: VHDXGeometry, _ table: Range<UInt64>
  ) throws(ImageError) {
    let unused = old.entryIndex(ofBlock: old.blockCount)
    if old.hasParent, unused < old.entryCount {
      let bytes = [UInt8](repeating: 0, count: Int(old.entryCount - 1 - unused) * 8)
      try store.save("block table", bytes, at: table.lowerBound + unused * 8)
    }
    var index = old.entryCount
    while index < new.entryCount {
      let part = min(new.entryCount - index, 1 << 14)
      var bytes = [UInt8](repeating: 0, count: Int(part) * 8)
      if new.isFixed {
        for place in 0..<part {
          guard new.block(ofEntry: index + place) != nil else { continue }
          let offset = try state.withLock { state throws(ImageError) -> UInt64 in
            try state.space.allocateAtEnd(new.blockByteCount, in: self.store)
          }
          bytes.setLittle(VHDXBlockEntry(.fullyPresent, at: offset).rawValue, at: Int(place) * 8)
        }
      }
      try store.save("block table", bytes, at: table.lowerBound + index * 8)
      index += part
    }
    // Pages in memory may hold the old rubbish.
    state.withLock { $0.pages.removeAll() }
  }

  private func shrink(to byteCount: UInt64, _ committer: inout VHDXCommitter) throws(ImageError) {
    let (geometry, sizeOffset) = state.withLock { ($0.geometry, $0.virtualSizeOffset) }
    try checkZero(byteCount..<geometry.virtualByteCount)
    var new = geometry
    new.virtualByteCount = byteCount
    // Blocks behind the new end go first, in as many commits as they need: they read as zeroes anyway.
    var block = new.blockCount
    while block < geometry.blockCount {
      block = try state.withLock { state throws(ImageError) -> UInt64 in
        try self.checkWritable(state.mode)
        var block = block
        while block < geometry.blockCount, state.hasRoomWhileMoving {
          try state.release(block: block, to: .notPresent, in: self.store)
          block += 1
        }
        return block
      }
      try commit(&committer)
    }
    let page = try sizePage(sizeOffset, byteCount)
    state.withLock { $0.extraPages = [page] }
    try commit(&committer)
    state.withLock { $0.geometry = new }
  }

  /// Refuses to cut off anything but zeroes.
  private func checkZero(_ range: Range<UInt64>) throws(ImageError) {
    let lease = beginIO()
    defer { withExtendedLifetime(lease) {} }
    var offset = range.lowerBound
    while offset < range.upperBound {
      let extent = try extent(at: offset, count: range.upperBound - offset, for: .read)
      var length = extent.byteCount
      if case .file(let store, let place) = extent.place {
        length = min(length, 1 << 20)
        let bytes = try store.load("disk", at: place, count: Int(length))
        if !bytes.isZero {
          let index = bytes.firstIndex { $0 != 0 } ?? 0
          throw self.store.invalid(
            "virtual disk size", "the disk has data at byte \(offset + UInt64(index)), which would be cut off")
        }
      }
      offset += length
    }
  }

  /// Lets every entry of the log settle and leaves one behind that needs none of them.
  private func settle(_ committer: inout VHDXCommitter) throws(ImageError) {
    do throws(StoreError) {
      try store.flush()
      committer.log?.markFlushed()
      let size = state.withLock { $0.space.endOfFile }
      try committer.log?.append(
        [], flushedFileByteCount: committer.flushedFileByteCount, lastFileByteCount: size, to: store)
      try store.flush()
    } catch {
      poison()
      throw ImageError(error, structure: "log")
    }
    committer.log?.markApplied()
    committer.log?.markFlushed()
  }
}

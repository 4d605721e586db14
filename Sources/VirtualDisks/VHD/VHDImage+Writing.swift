// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension VHDImage {
  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(ImageError) {
    let lease = beginIO()
    defer { extendLifetime(lease) }
    try state.withLock { state throws(ImageError) in
      try checkWritable(state)
      try checkRange(state, offset, UInt64(buffer.count))
    }
    var done = 0
    while done < buffer.count {
      let place = offset &+ UInt64(done)
      let rest = UInt64(buffer.count - done)
      let part = try state.withLock { state throws(ImageError) in
        try placeForWriting(&state, place, rest)
      }
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[done..<done + Int(part.count)])
      try access("disk byte \(place)") { () throws(StoreError) in try unsafe store.write(at: part.position, from: bytes)
      }
      try commitSectors(part)
      done += bytes.count
    }
    try limitMemory()
  }

  /// Where a part of a write goes.
  struct WritePart {
    var position: UInt64
    var count: UInt64
    /// The sectors whose bits must be set when the data is there.
    var block = 0
    var newSectors: Range<Int>?
  }

  /// Under the lock. A part never has both sectors that are there and sectors that are not.
  func placeForWriting(_ state: inout State, _ offset: UInt64, _ count: UInt64) throws(ImageError) -> WritePart {
    try checkWritable(state)
    if let header = state.structure.header {
      let block = Int(offset / UInt64(header.blockSize))
      if state.structure.table[block] == VHDStructure.unused { try allocate(&state, block) }
    }
    switch try locate(&state, offset, count, .write) {
    case .here(let position, let count): return WritePart(position: position, count: count)
    case .below(let count), .needsAllocation(let count):
      guard let header = state.structure.header else { return WritePart(position: offset, count: count) }
      let blockSize = UInt64(header.blockSize)
      let block = Int(offset / blockSize)
      let within = offset % blockSize
      let first = Int(within / 512)
      return WritePart(
        position: UInt64(state.structure.table[block]) * 512 + header.bitmapBytes + within, count: count, block: block,
        newSectors: first..<first + Int(count / 512))
    }
  }

  /// The data is written: from now on reads find it here.
  func commitSectors(_ part: WritePart) throws(ImageError) {
    guard let sectors = part.newSectors else { return }
    try state.withLock { state throws(ImageError) in
      // It may have been dropped as clean meanwhile.
      try loadBitmap(&state, part.block)
      state.bitmaps.set(part.block, sectors)
    }
  }

  /// Bits that wait for a flush are memory that a guest can make us hold.
  func limitMemory() throws(ImageError) {
    let isMuch = state.withLock { $0.bitmaps.isOverLimit }
    if isMuch { try flush() }
  }

  // MARK: Allocation

  /// Makes room for a block at the end of the file. Under the lock.
  ///
  /// The new block reads as zeroes. In a dynamic disk all of its sectors count as present from the beginning, as other
  /// writers do it (QEMU never looks at the bits of a dynamic disk); in a differencing disk none does.
  func allocate(_ state: inout State, _ block: Int) throws(ImageError) {
    guard let header = state.structure.header else { return }
    try touch(&state)
    let size = header.bitmapBytes + UInt64(header.blockSize)
    let oldEnd = state.structure.dataEnd
    // Data on whole pages of the host's file system: for direct I/O, and so that holes give all their space back.
    let start = (oldEnd + header.bitmapBytes + 4095) / 4096 * 4096 - header.bitmapBytes
    let newEnd = start + size
    guard start / 512 < UInt64(VHDStructure.unused) else {
      throw error("block \(block)", start, .unsupported("the file is too large for another block; compact it"))
    }
    let name = "new block \(block)"
    try access(name) { () throws(StoreError) in
      if state.structure.footerOffset != oldEnd || state.structure.fileByteCount != oldEnd + 512 {
        // Behind the last block is space that nothing uses, with old data perhaps: it goes first.
        try store.write(state.structure.footer.encoded(), at: oldEnd)
        try store.flush()
        try store.setByteCount(oldEnd + 512)
        state.structure.footerOffset = oldEnd
        state.structure.fileByteCount = oldEnd + 512
      }
    }
    do throws(StoreError) {
      try store.setByteCount(newEnd + 512)
      try store.write(state.structure.footer.encoded(), at: newEnd)
      try store.write([UInt8](repeating: 0, count: 512), at: oldEnd)
      if parent == nil, state.structure.footer.kind == .dynamic {
        try store.write([UInt8](repeating: 0xff, count: Int(header.bitmapBytes)), at: start)
      }
    } catch {
      // Back to where it was. When that fails too, the copy in the first sector still describes the file.
      do throws(StoreError) {
        try store.write(state.structure.footer.encoded(), at: oldEnd)
        try store.setByteCount(oldEnd + 512)
      } catch  where error.reason == .noSpace {
        // Not even over what is there (file systems that never overwrite): whoever comes next puts the footer back first.
        state.structure.fileByteCount = newEnd + 512
      } catch {
        state.isPoisoned = true
      }
      throw ImageError(error, structure: name)
    }
    state.structure.footerOffset = newEnd
    state.structure.fileByteCount = newEnd + 512
    state.structure.dataEnd = newEnd
    state.structure.table[block] = UInt32(start / 512)
    state.uncommitted.insert(block)
    if state.structure.footer.kind == .dynamic {
      state.bitmaps.markFull(block)
    } else {
      state.bitmaps.load(block, [UInt8](repeating: 0, count: Int(header.bitmapBytes)))
    }
  }

  /// Before the first change: a new time stamp, by which children notice that their parent has changed, and the footer in
  /// both places again, if one was damaged. Under the lock.
  func touch(_ state: inout State) throws(ImageError) {
    guard !state.isTouched else { return }
    try checkWritable(state)
    var footer = state.structure.footer
    let now = VHDTimestamp.now
    // Never the old one, however quickly it goes.
    footer.timestamp = now == footer.timestamp ? VHDTimestamp(rawValue: now.rawValue &+ 1) : now
    try writeFooter(&state, footer)
    state.isTouched = true
  }

  func writeFooter(_ state: inout State, _ footer: VHDFooter) throws(ImageError) {
    let bytes = footer.encoded()
    try access("footer") { () throws(StoreError) in
      let place = state.structure.footerOffset
      try store.write(bytes, at: place)
      if state.structure.fileByteCount != place + 512 {
        try store.setByteCount(place + 512)
        state.structure.fileByteCount = place + 512
      }
      if footer.kind != .fixed { try store.write(bytes, at: 0) }
    }
    state.structure.footer = footer
  }

  // MARK: Flush

  public func flush() throws(ImageError) {
    try flushing.withLock { _ throws(ImageError) in
      let work = try state.withLock { state throws(ImageError) -> FlushWork? in
        guard !state.isClosed else { throw error("", nil, .closed) }
        return isReadOnly ? nil : FlushWork(state)
      }
      guard let work else { return }
      try access("file") { () throws(StoreError) in try store.flush() }
      guard !work.isEmpty else { return }
      for (block, place, bytes) in work.bitmaps {
        try access("sector bitmap of block \(block)") { () throws(StoreError) in try store.write(bytes, at: place) }
      }
      for (place, bytes) in work.tableSectors {
        try access("block allocation table") { () throws(StoreError) in try store.write(bytes, at: place) }
      }
      try access("file") { () throws(StoreError) in try store.flush() }
      state.withLock { state in
        state.uncommitted.subtract(work.blocks)
        state.bitmaps.markWritten(work.bitmaps.map { ($0.block, $0.bytes) })
      }
    }
  }

  /// What a flush writes: metadata for data that was there before it began, and for no other.
  struct FlushWork {
    var blocks: Set<Int>
    var bitmaps: [(block: Int, place: UInt64, bytes: [UInt8])] = []
    var tableSectors: [(place: UInt64, bytes: [UInt8])] = []

    var isEmpty: Bool { blocks.isEmpty && bitmaps.isEmpty }

    init(_ state: borrowing State) {
      blocks = state.uncommitted
      guard let header = state.structure.header else { return }
      for block in state.bitmaps.dirty {
        guard let bytes = state.bitmaps.bitmap(block) else { continue }
        bitmaps.append((block, UInt64(state.structure.table[block]) * 512, bytes))
      }
      for sector in Set(blocks.map { $0 / 128 }) {
        var bytes = BigEndianBytes([UInt8](repeating: 0xff, count: 512))
        let entries = sector * 128..<min(state.structure.table.count, sector * 128 + 128)
        for index in entries { bytes.write(state.structure.table[index], at: (index - entries.lowerBound) * 4) }
        tableSectors.append((header.tableOffset + UInt64(sector) * 512, bytes.bytes))
      }
    }
  }

  public func close() throws(ImageError) {
    guard !(state.withLock { $0.isClosed }) else { return }
    try flush()
    try state.withLock { state throws(ImageError) in
      // The file may still be longer than it should be after a failed allocation.
      let isLonger = state.structure.fileByteCount != state.structure.footerOffset + 512
      if isLonger, state.isTouched, !state.isPoisoned { try writeFooter(&state, state.structure.footer) }
    }
    state.withLock { $0.isClosed = true }
    try parent?.close()
  }
}

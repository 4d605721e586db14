// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension VHDImage {
  /// The order of writes keeps the file sound at every moment: a larger disk is announced when its space is there, a
  /// smaller one before its space goes. Only a fixed disk has one footer and so one moment, when the new one has grown the
  /// file and is not durable yet; `ImageCheck` finds the old one then.
  public func resize(to byteCount: UInt64) throws(ImageError) {
    try state.withLock { state throws(ImageError) in try checkWritable(state) }
    guard byteCount > 0, byteCount % 512 == 0, byteCount <= VHDFooter.largestDisk else {
      throw error(
        "", nil, .invalid("a VHD cannot have \(byteCount) bytes: it takes whole sectors of 512 bytes, up to 2040 GiB"))
    }
    let old = information.virtualByteCount
    guard byteCount != old else { return }
    if byteCount < old {
      leases.waitForEarlier()
      try checkZero(byteCount..<old)
    } else if let parent, parentByteCount > old {
      // Growth must not let the parent's data show where the disk had ended.
      let end = min(byteCount, parentByteCount)
      if let data = try parent.firstData(in: old..<end) {
        throw error("", nil, .invalid("the parent has data at \(data), which would show when this disk grows over it"))
      }
    }
    try flush()
    try state.withLock { state throws(ImageError) in
      try touch(&state)
      if state.structure.header == nil {
        try resizeFixed(&state, byteCount)
      } else {
        try resizeBlocks(&state, byteCount)
      }
    }
    try flush()
  }

  private func checkZero(_ range: Range<UInt64>) throws(ImageError) {
    if let data = try firstData(in: range) {
      throw error(
        "", nil, .invalid("the disk has data at \(data), beyond the new size of \(range.lowerBound) bytes"))
    }
  }

  private func newFooter(_ state: borrowing State, _ byteCount: UInt64) -> VHDFooter {
    var footer = state.structure.footer
    footer.currentSize = byteCount
    // By the specification the size at creation, for information; libvhdi takes it for the disk's.
    footer.originalSize = byteCount
    footer.geometry = VHDGeometry(sectors: byteCount / 512)
    // The geometry no longer says the exact size: with Virtual PC's or QEMU's name some would still go by it.
    footer.creator = VHDFooter.exactCreator
    return footer
  }

  private func resizeFixed(_ state: inout State, _ byteCount: UInt64) throws(ImageError) {
    let footer = newFooter(state, byteCount)
    let oldFooter = state.structure.footerOffset
    let old = state.structure.footer.currentSize
    try access("footer") { () throws(StoreError) in
      if byteCount + 512 != state.structure.fileByteCount || byteCount < old {
        try store.write(footer.encoded(), at: byteCount)
        try store.flush()
      }
      try store.setByteCount(byteCount + 512)
    }
    state.structure.footerOffset = byteCount
    state.structure.fileByteCount = byteCount + 512
    state.structure.dataEnd = byteCount
    state.structure.footer = footer
    // The old footer is disk now, and so is what lay between.
    if byteCount > old { try zero(at: old, count: min(byteCount, oldFooter + 512) - old) }
  }

  private func resizeBlocks(_ state: inout State, _ byteCount: UInt64) throws(ImageError) {
    guard let header = state.structure.header else { return }
    let footer = newFooter(state, byteCount)
    let old = state.structure.footer.currentSize
    let blockSize = UInt64(header.blockSize)
    let count = Int((byteCount - 1) / blockSize + 1)
    let oldCount = state.structure.table.count
    guard count <= Int(VHDDynamicHeader.mostBlocks) else {
      throw error("dynamic disk header block size", nil, .invalid("\(count) blocks of \(blockSize) bytes are too many"))
    }
    if byteCount < old {
      try writeFooter(&state, footer)
      try access("file") { () throws(StoreError) in try store.flush() }
      for block in count..<oldCount { state.bitmaps.forget(block) }
      let unused = [UInt32](repeating: VHDStructure.unused, count: oldCount - count)
      try access("block allocation table") { () throws(StoreError) in
        try store.write(Self.encoded(unused), at: header.tableOffset + UInt64(count) * 4)
      }
      state.structure.table.removeLast(oldCount - count)
      return
    }
    // What the last block holds behind the old end must not become visible.
    if old % blockSize != 0, state.structure.table[oldCount - 1] != VHDStructure.unused {
      let start = UInt64(state.structure.table[oldCount - 1]) * 512 + header.bitmapBytes
      try zero(at: start + old % blockSize, count: blockSize - old % blockSize)
    }
    let added = [UInt32](repeating: VHDStructure.unused, count: count - oldCount)
    if count <= Int(header.tableEntries) {
      try access("block allocation table") { () throws(StoreError) in
        if !added.isEmpty { try store.write(Self.encoded(added), at: header.tableOffset + UInt64(oldCount) * 4) }
        try store.flush()
      }
      state.structure.table += added
    } else {
      try moveTable(&state, header, state.structure.table + added)
    }
    try writeFooter(&state, footer)
  }

  /// Writes a longer table behind the last block, then points the header to it: one sector, which is written whole.
  private func moveTable(
    _ state: inout State, _ old: VHDDynamicHeader, _ table: [UInt32]
  ) throws(ImageError) {
    var header = old
    header.tableEntries = UInt32(table.count)
    header.tableOffset = (state.structure.dataEnd + 512 + 4095) / 4096 * 4096
    let end = header.tableOffset + header.tableBytes
    let padding = [UInt8](repeating: 0xff, count: Int(header.tableBytes) - table.count * 4)
    try access("block allocation table") { () throws(StoreError) in
      try store.setByteCount(max(state.structure.fileByteCount, end + 512))
      try store.write(state.structure.footer.encoded(), at: end)
      try store.write(Self.encoded(table) + padding, at: header.tableOffset)
      try store.flush()
      try store.setByteCount(end + 512)
      state.structure.footerOffset = end
      state.structure.fileByteCount = end + 512
      state.structure.dataEnd = end
      let place = state.structure.footer.dataOffset
      let sectors = VHDDynamicHeader.moved(
        try store.bytes(at: place, count: VHDDynamicHeader.byteCount), tableOffset: header.tableOffset,
        tableEntries: header.tableEntries)
      try store.write(Array(sectors.prefix(512)), at: place)
      try store.flush()
    }
    state.structure.header = header
    state.structure.table = table
  }

  static func encoded(_ table: [UInt32]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(table.count * 4)
    for entry in table {
      for shift in [UInt32(24), 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: entry >> shift)) }
    }
    return bytes
  }
}

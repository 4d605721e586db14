// SPDX-License-Identifier: Apache-2.0

/// The sector bitmaps of a VHD's blocks as far as they are in memory: one bit a sector, the highest bit of a byte first,
/// set where the block holds the sector. Blocks whose bits are all set, which most are, take one bit here.
struct SectorBitmaps: Sendable {
  /// What the loaded bitmaps may take before clean ones are dropped.
  static let limit = 4 << 20

  /// The sectors of a block: bitmaps are padded to whole sectors, the rest of their bits means nothing.
  let sectorsPerBlock: Int
  private(set) var loaded: [Int: [UInt8]] = [:]
  /// Changed since they were last written.
  private(set) var dirty: Set<Int> = []
  /// One bit a block.
  private var full: [UInt64] = []
  private var loadedBytes = 0

  init(sectorsPerBlock: Int) { self.sectorsPerBlock = sectorsPerBlock }

  /// What cannot be dropped before a flush.
  var isOverLimit: Bool { dirty.count * VHDDynamicHeader.bitmapByteCount(sectors: sectorsPerBlock) > Self.limit }

  func isFull(_ block: Int) -> Bool { block >> 6 < full.count && full[block >> 6] & 1 << UInt64(block & 63) != 0 }
  func bitmap(_ block: Int) -> [UInt8]? { loaded[block] }

  /// Takes a bitmap as the file has it.
  mutating func load(_ block: Int, _ bytes: [UInt8]) {
    if Self.run(bytes, from: 0, limit: sectorsPerBlock).count == sectorsPerBlock, bytes[0] & 0x80 != 0 {
      markFull(block)
      return
    }
    if loadedBytes > Self.limit {
      for clean in loaded.keys where !dirty.contains(clean) {
        drop(clean)
        if loadedBytes <= Self.limit / 2 { break }
      }
    }
    loaded[block] = bytes
    loadedBytes += bytes.count
  }

  mutating func markFull(_ block: Int) {
    if block >> 6 >= full.count { full += [UInt64](repeating: 0, count: block >> 6 + 1 - full.count) }
    full[block >> 6] |= 1 << UInt64(block & 63)
  }

  mutating func forget(_ block: Int) {
    if isFull(block) { full[block >> 6] &= ~(1 << UInt64(block & 63)) }
    dirty.remove(block)
    drop(block)
  }

  private mutating func drop(_ block: Int) {
    if let bytes = loaded.removeValue(forKey: block) { loadedBytes -= bytes.count }
  }

  /// Sets the bits of a loaded bitmap.
  mutating func set(_ block: Int, _ sectors: Range<Int>) {
    guard !isFull(block), var bytes = loaded.removeValue(forKey: block) else { return }
    for sector in sectors { bytes[sector >> 3] |= 0x80 >> UInt8(sector & 7) }
    loaded[block] = bytes
    dirty.insert(block)
  }

  /// The bitmaps `written` are in the file now. Those that have changed meanwhile stay dirty.
  mutating func markWritten(_ written: [(block: Int, bytes: [UInt8])]) {
    for (block, bytes) in written where loaded[block] == bytes {
      dirty.remove(block)
      if Self.run(bytes, from: 0, limit: sectorsPerBlock).count == sectorsPerBlock, bytes[0] & 0x80 != 0 {
        drop(block)
        markFull(block)
      }
    }
  }

  /// How many sectors from `sector` on have the same bit, at most `limit`, and that bit.
  func run(_ block: Int, from sector: Int, limit: Int) -> (isSet: Bool, count: Int) {
    if isFull(block) { return (true, limit) }
    guard let bytes = loaded[block] else { return (false, limit) }
    return Self.run(bytes, from: sector, limit: limit)
  }

  private static func run(_ bytes: [UInt8], from first: Int, limit: Int) -> (isSet: Bool, count: Int) {
    let isSet = bytes[first >> 3] & (0x80 >> UInt8(first & 7)) != 0
    let whole: UInt8 = isSet ? 0xff : 0
    var sector = first
    let end = first + limit
    while sector < end {
      if sector & 7 == 0, bytes[sector >> 3] == whole {
        sector += 8
      } else if (bytes[sector >> 3] & (0x80 >> UInt8(sector & 7)) != 0) == isSet {
        sector += 1
      } else {
        break
      }
    }
    return (isSet, min(sector, end) - first)
  }
}

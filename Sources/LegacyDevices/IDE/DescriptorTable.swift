// SPDX-License-Identifier: Apache-2.0

/// The bus master's table of physical regions: entries of u32 address and u32 with the byte count in bits 0–15 (0 means
/// 64 KiB) and, in bit 31, the mark of the last one. Neither address nor count may be odd. The table does not cross a
/// 64 KiB boundary.
public enum DescriptorTable {
  public struct Segment: Equatable, Sendable {
    public var address: UInt64
    public var byteCount: Int

    public init(address: UInt64, byteCount: Int) {
      self.address = address
      self.byteCount = byteCount
    }
  }

  public enum Fault: Error, Equatable, Sendable {
    /// The last region ends before the transfer does.
    case tooShort
    /// The table, or a region that is needed, is not memory.
    case outsideMemory
  }

  static let entryBytes = 8
  static let boundary: UInt32 = 64 << 10

  /// The regions of the first `byteCount` bytes, and whether the table has more. Reads at most 64 KiB of table, and no more
  /// of it than is needed. `read` gives eight bytes of guest memory, `isMemory` tells whether a range is RAM.
  public static func walk(
    at address: UInt32, byteCount: Int, read: (UInt64) -> UInt64?, isMemory: (UInt64, Int) -> Bool
  ) throws(Fault) -> (segments: [Segment], hasMore: Bool) {
    var segments: [Segment] = []
    var missing = byteCount
    var position = address & ~3
    let end = UInt64(position & ~(boundary - 1)) + UInt64(boundary)
    while true {
      guard UInt64(position) + UInt64(entryBytes) <= end else { throw missing > 0 ? .tooShort : .outsideMemory }
      guard let entry = read(UInt64(position)) else { throw .outsideMemory }
      let isLast = entry >> 63 != 0
      let count = Int(entry >> 32 & 0xFFFE)
      let available = count == 0 ? Int(boundary) : count
      let used = min(available, missing)
      if used > 0 {
        let start = entry & 0xFFFF_FFFE
        guard isMemory(start, used) else { throw .outsideMemory }
        // Neighbours become one.
        if let last = segments.last, last.address + UInt64(last.byteCount) == start,
          isMemory(last.address, last.byteCount + used)
        {
          segments[segments.count - 1].byteCount += used
        } else {
          segments.append(Segment(address: start, byteCount: used))
        }
      }
      missing -= used
      if missing == 0 { return (segments, used < available || !isLast) }
      if isLast { throw .tooShort }
      position &+= UInt32(entryBytes)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The memory ranges of a GPA-direct packet, all checked when this value is made; then an iterator over them.
///
/// Descriptor data: reserved u32 @16, range count u32 @20, ranges from @24, each {byte count u32, byte offset u32, page
/// numbers u64 × ceil((offset + count) / 4096)}. Storage sends one range with many pages, the network several ranges of
/// one or more pages each; any mix that fits in front of the payload is accepted.
public struct GPADirectRanges: Sendable {
  /// Ranges in the packet, 1 at least.
  public let rangeCount: Int
  /// Sum of the ranges' bytes; no overflow, since a packet has room for fewer than 2^16 ranges of 32-bit sizes.
  public let byteCount: UInt64
  @usableFromInline var cursor = 24
  @usableFromInline var remaining: Int
  @usableFromInline let end: Int

  /// Walks all ranges of `packet` in `bytes`, its private copy, once.
  @inlinable
  public init(_ packet: Packet, in bytes: RawSpan) throws(RingError) {
    guard packet.type == .gpaDirect else { throw .corrupt(.descriptor(.type(packet.type))) }
    let end = packet.payloadOffset
    // 24 bytes of fixed part: a packet whose descriptor ends after 16 has no range count to read.
    guard end >= 24, end <= bytes.byteCount else { throw .corrupt(.descriptor(.truncated)) }
    let count = try Self.field(at: 20, in: bytes)
    guard count > 0, count <= (end &- 24) / 8 else { throw .corrupt(.descriptor(.rangeCount(count))) }
    var at = 24
    var sum: UInt64 = 0
    var index: UInt32 = 0
    while index < count {
      let range = try Self.range(at: at, endingBefore: end, in: bytes)
      sum &+= UInt64(range.byteCount)
      at = range.listOffset &+ range.pageCount &* 8
      index &+= 1
    }
    self.end = end
    rangeCount = Int(count)
    remaining = Int(count)
    byteCount = sum
  }

  /// The next range; nil after the last one. `bytes` is the copy that this value was made from.
  @inlinable
  public mutating func next(in bytes: RawSpan) throws(RingError) -> GPARange? {
    if remaining == 0 { return nil }
    let range = try Self.range(at: cursor, endingBefore: end, in: bytes)
    cursor = range.listOffset &+ range.pageCount &* 8
    remaining &-= 1
    return range
  }

  @inlinable
  static func range(at offset: Int, endingBefore end: Int, in bytes: RawSpan) throws(RingError) -> GPARange {
    guard end &- offset >= 8 else { throw .corrupt(.descriptor(.truncated)) }
    let byteCount = try field(at: offset, in: bytes)
    let byteOffset = try field(at: offset &+ 4, in: bytes)
    guard byteOffset < 4096 else { throw .corrupt(.descriptor(.byteOffset(byteOffset))) }
    // 64 bits wide: the sum of two 32-bit values does not overflow.
    let pageCount = Int(truncatingIfNeeded: (UInt64(byteOffset) &+ UInt64(byteCount) &+ 4095) &>> 12)
    let listOffset = offset &+ 8
    guard pageCount <= (end &- listOffset) / 8 else {
      throw .corrupt(.descriptor(.pageList(byteCount: byteCount)))
    }
    return GPARange(byteCount: byteCount, byteOffset: byteOffset, pageCount: pageCount, listOffset: listOffset)
  }

  @inlinable
  static func field(at offset: Int, in bytes: RawSpan) throws(RingError) -> UInt32 {
    do throws(WireError) {
      return try bytes.read(UInt32.self, at: offset)
    } catch {
      throw .corrupt(.descriptor(.truncated))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Bytes of a shared buffer that a transfer-page packet refers to.
public struct TransferPageRange: Equatable, Sendable {
  public let byteCount: UInt32
  /// From the buffer's start; whoever owns the buffer checks it against the buffer's size.
  public let byteOffset: UInt32

  @inlinable public init(byteCount: UInt32, byteOffset: UInt32) {
    self.byteCount = byteCount
    self.byteOffset = byteOffset
  }

  /// Whether the range lies inside a buffer of `size` bytes.
  @inlinable public func fits(in size: UInt64) -> Bool { UInt64(byteOffset) &+ UInt64(byteCount) <= size }
}

/// The buffer ranges of a transfer-page packet, checked when this value is made; then an iterator over them.
///
/// Descriptor data: set id u16 @16, sender-owns u8 @18, reserved u8, range count u32 @20, ranges {byte count u32, byte
/// offset u32} from @24.
public struct TransferPageRanges: Sendable {
  /// Names the buffer.
  public let setID: UInt16
  /// Ranges in the packet, 1 at least.
  public let rangeCount: Int
  @usableFromInline var index = 0

  @inlinable
  public init(_ packet: Packet, in bytes: RawSpan) throws(RingError) {
    guard packet.type == .transferPages else { throw .corrupt(.descriptor(.type(packet.type))) }
    let end = packet.payloadOffset
    guard end >= 24, end <= bytes.byteCount else { throw .corrupt(.descriptor(.truncated)) }
    setID = UInt16(truncatingIfNeeded: try GPADirectRanges.field(at: 16, in: bytes))
    let count = try GPADirectRanges.field(at: 20, in: bytes)
    guard count > 0, count <= (end &- 24) / 8 else { throw .corrupt(.descriptor(.rangeCount(count))) }
    rangeCount = Int(count)
  }

  /// The next range; nil after the last one. `bytes` is the copy that this value was made from.
  @inlinable
  public mutating func next(in bytes: RawSpan) throws(RingError) -> TransferPageRange? {
    if index == rangeCount { return nil }
    let offset = 24 &+ index &* 8
    let byteCount = try GPADirectRanges.field(at: offset, in: bytes)
    let byteOffset = try GPADirectRanges.field(at: offset &+ 4, in: bytes)
    index &+= 1
    return TransferPageRange(byteCount: byteCount, byteOffset: byteOffset)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// One received packet, as it lies in the reader's private buffer: descriptor, further descriptor data, payload.
///
/// Everything in here has been checked against that copy: 16 <= payloadOffset <= byteCount <= the buffer's size.
public struct Packet: Equatable, Sendable {
  /// Bytes of the fixed descriptor, and of the smallest packet.
  @inlinable public static var headerSize: Int { 16 }
  /// Bytes behind each packet in the ring: u32 0, u32 index at which the packet began. Never part of the copy; the
  /// reader does not look at it, as Linux does not.
  @inlinable public static var trailerSize: Int { 8 }

  public let type: PacketType
  /// The sender wants a completion packet with the same transaction id, whatever that id is, 0 included.
  public let completionRequested: Bool
  /// The sender's own: echo it bit by bit, never interpret it.
  public let transactionID: UInt64
  /// Bytes from the start of the private copy to the payload; a multiple of 8.
  public let payloadOffset: Int
  /// Bytes of the private copy, trailer not included; a multiple of 8.
  public let byteCount: Int

  @inlinable @inline(__always)
  public init(
    type: PacketType, completionRequested: Bool, transactionID: UInt64, payloadOffset: Int, byteCount: Int
  ) {
    self.type = type
    self.completionRequested = completionRequested
    self.transactionID = transactionID
    self.payloadOffset = payloadOffset
    self.byteCount = byteCount
  }

  /// Bytes of payload, padding to the next multiple of 8 included: the exact length is the protocol's to say.
  @inlinable public var payloadByteCount: Int { byteCount &- payloadOffset }

  /// The payload in `bytes`, the private copy that this packet describes.
  @inlinable @_lifetime(copy bytes)
  public func payload(in bytes: RawSpan) throws(WireError) -> RawSpan {
    try bytes.slice(at: payloadOffset, count: payloadByteCount)
  }
}

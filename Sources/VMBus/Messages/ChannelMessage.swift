// SPDX-License-Identifier: Apache-2.0

/// A message about channels, as it lies in the payload of a SynIC message: the type as a u32 at byte 0, four bytes of
/// padding (sent as zero, ignored when received), then the fields. All integers are little-endian.
///
/// Layouts: Linux `include/linux/hyperv.h` (6.1.192 and 6.12.117), struct `vmbus_channel_*`.
public protocol ChannelMessage: Equatable, Sendable {
  static var type: MessageType { get }
  /// Bytes of the shortest such message, header included.
  static var wireSize: Int { get }

  /// Bytes of this message, header included.
  var byteCount: Int { get }

  /// Reads the fields of a message whose type has been looked at already. Bytes past the last field are ignored.
  init(decoding bytes: RawSpan) throws(WireError)

  /// Writes header and fields to the start of `bytes`.
  @_lifetime(bytes: copy bytes)
  func encode(into bytes: inout MutableRawSpan) throws(WireError)
}

extension ChannelMessage {
  @inlinable public var byteCount: Int { Self.wireSize }

  @_lifetime(bytes: copy bytes) @inlinable
  func encodeHeader(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(Self.type.rawValue, at: 0)
    try bytes.write(0 as UInt32, at: 4)
  }
}

/// Bytes of the header that all channel messages begin with.
public let channelMessageHeaderSize = 8

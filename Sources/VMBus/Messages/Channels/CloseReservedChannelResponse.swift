// SPDX-License-Identifier: Apache-2.0

/// The end of closing a channel that was never offered; layout from OpenVMM's `vmbus_core` protocol.
public struct CloseReservedChannelResponse: ChannelMessage {
  public static var type: MessageType { .closeReservedChannelResponse }
  public static let wireSize = 12

  /// At byte 8.
  public var channel: ChannelID

  public init(channel: ChannelID) {
    self.channel = channel
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
  }
}

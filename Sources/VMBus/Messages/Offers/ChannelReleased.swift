// SPDX-License-Identifier: Apache-2.0

/// The guest has forgotten a rescinded channel; its number may be used again ("relid released").
public struct ChannelReleased: ChannelMessage {
  public static var type: MessageType { .channelReleased }
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

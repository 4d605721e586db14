// SPDX-License-Identifier: Apache-2.0

/// The new processor is in force: no interrupt of the channel reaches the old one any more.
public struct ModifyChannelResponse: ChannelMessage {
  public static var type: MessageType { .modifyChannelResponse }
  public static let wireSize = 16

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12.
  public var status: NTStatus

  public init(channel: ChannelID, status: NTStatus) {
    self.channel = channel
    self.status = status
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
    status = NTStatus(rawValue: try bytes.read(UInt32.self, at: 12))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(status.rawValue, at: 12)
  }
}

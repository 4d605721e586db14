// SPDX-License-Identifier: Apache-2.0

/// The end of an opening. Linux waits for it without a time limit, and writes to the ring as soon as it has it.
public struct OpenResult: ChannelMessage {
  public static var type: MessageType { .openResult }
  public static let wireSize = 20

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12. From the `OpenChannel` message.
  public var openID: OpenID
  /// At byte 16. Linux treats all but 0 as "try again", and does not try again.
  public var status: NTStatus

  public init(channel: ChannelID, openID: OpenID, status: NTStatus) {
    self.channel = channel
    self.openID = openID
    self.status = status
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
    openID = OpenID(rawValue: try bytes.read(UInt32.self, at: 12))
    status = NTStatus(rawValue: try bytes.read(UInt32.self, at: 16))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(openID.rawValue, at: 12)
    try bytes.write(status.rawValue, at: 16)
  }
}

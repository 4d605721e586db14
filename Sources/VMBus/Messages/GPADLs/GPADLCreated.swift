// SPDX-License-Identifier: Apache-2.0

/// The end of making a GPADL. Linux waits for it without a time limit.
public struct GPADLCreated: ChannelMessage {
  public static var type: MessageType { .gpadlCreated }
  public static let wireSize = 20

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12.
  public var gpadl: GPADLID
  /// At byte 16.
  public var status: NTStatus

  public init(channel: ChannelID, gpadl: GPADLID, status: NTStatus) {
    self.channel = channel
    self.gpadl = gpadl
    self.status = status
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
    gpadl = GPADLID(rawValue: try bytes.read(UInt32.self, at: 12))
    status = NTStatus(rawValue: try bytes.read(UInt32.self, at: 16))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(gpadl.rawValue, at: 12)
    try bytes.write(status.rawValue, at: 16)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Stop using the memory of a GPADL; answered by `GPADLTorndown`.
public struct GPADLTeardown: ChannelMessage {
  public static var type: MessageType { .gpadlTeardown }
  public static let wireSize = 16

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12.
  public var gpadl: GPADLID

  public init(channel: ChannelID, gpadl: GPADLID) {
    self.channel = channel
    self.gpadl = gpadl
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
    gpadl = GPADLID(rawValue: try bytes.read(UInt32.self, at: 12))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(gpadl.rawValue, at: 12)
  }
}

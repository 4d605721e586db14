// SPDX-License-Identifier: Apache-2.0

/// Send the interrupts of an open channel to another processor. From version 4.1 on; answered from 5.3 on.
public struct ModifyChannel: ChannelMessage {
  public static var type: MessageType { .modifyChannel }
  public static let wireSize = 16

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12.
  public var targetVP: VPIndex

  public init(channel: ChannelID, targetVP: VPIndex) {
    self.channel = channel
    self.targetVP = targetVP
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
    targetVP = VPIndex(rawValue: try bytes.read(UInt32.self, at: 12))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(targetVP.rawValue, at: 12)
  }
}

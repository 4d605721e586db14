// SPDX-License-Identifier: Apache-2.0

/// Close a channel that was never offered. Linux does not send it; layout from OpenVMM's `vmbus_core` protocol.
public struct CloseReservedChannel: ChannelMessage {
  public static var type: MessageType { .closeReservedChannel }
  public static let wireSize = 20

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12.
  public var targetVP: VPIndex
  /// At byte 16.
  public var targetSINT: UInt32

  public init(channel: ChannelID, targetVP: VPIndex, targetSINT: UInt32) {
    self.channel = channel
    self.targetVP = targetVP
    self.targetSINT = targetSINT
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
    targetVP = VPIndex(rawValue: try bytes.read(UInt32.self, at: 12))
    targetSINT = try bytes.read(UInt32.self, at: 16)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(targetVP.rawValue, at: 12)
    try bytes.write(targetSINT, at: 16)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Start the device on a channel; answered by `OpenResult`. The ring headers are valid from here on, not before.
public struct OpenChannel: ChannelMessage {
  public static var type: MessageType { .openChannel }
  public static let wireSize = 148

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12. Comes back in the result.
  public var openID: OpenID
  /// At byte 16. The pages of both rings.
  public var ringGPADL: GPADLID
  /// At byte 20. The processor that takes the interrupts; `VPIndex.none`: no interrupts.
  public var targetVP: VPIndex
  /// At byte 24. The page of the GPADL where the host→guest ring begins; the guest→host ring begins at page 0.
  public var hostToGuestPageOffset: UInt32
  /// At byte 28. For the device.
  public var userData: UserData

  public init(
    channel: ChannelID, openID: OpenID, ringGPADL: GPADLID, targetVP: VPIndex, hostToGuestPageOffset: UInt32,
    userData: UserData
  ) {
    self.channel = channel
    self.openID = openID
    self.ringGPADL = ringGPADL
    self.targetVP = targetVP
    self.hostToGuestPageOffset = hostToGuestPageOffset
    self.userData = userData
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(rawValue: try bytes.read(UInt32.self, at: 8))
    openID = OpenID(rawValue: try bytes.read(UInt32.self, at: 12))
    ringGPADL = GPADLID(rawValue: try bytes.read(UInt32.self, at: 16))
    targetVP = VPIndex(rawValue: try bytes.read(UInt32.self, at: 20))
    hostToGuestPageOffset = try bytes.read(UInt32.self, at: 24)
    userData = try UserData(decoding: bytes, at: 28)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(openID.rawValue, at: 12)
    try bytes.write(ringGPADL.rawValue, at: 16)
    try bytes.write(targetVP.rawValue, at: 20)
    try bytes.write(hostToGuestPageOffset, at: 24)
    try userData.encode(into: &bytes, at: 28)
  }
}

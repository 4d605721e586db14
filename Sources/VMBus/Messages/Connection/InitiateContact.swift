// SPDX-License-Identifier: Apache-2.0

/// The first message of a guest, one per version that it tries; answered by `VersionResponse`.
public struct InitiateContact: ChannelMessage {
  public static var type: MessageType { .initiateContact }
  public static let wireSize = 40
  /// With the client's GUID, which 6.0 added.
  public static let wireSizeWithClientID = 56

  /// At byte 8.
  public var version: ProtocolVersion
  /// At byte 12. The processor that takes the host's messages (Linux: that of CPU 0).
  public var targetVP: VPIndex
  /// At byte 16. Below 5.0 the address of the interrupt page; from 5.0 on see `sint`, `vtl` and `features`.
  public var interruptPageOrTarget: UInt64
  /// At byte 24. Address of the monitor page that the host triggers.
  public var hostToGuestMonitorPage: UInt64
  /// At byte 32. Address of the monitor page that the guest triggers.
  public var guestToHostMonitorPage: UInt64
  /// At byte 40, only from 6.0 on.
  public var clientID: GUID?

  /// From 5.0 on: the synthetic interrupt for the host's messages (Linux: 2).
  public var sint: UInt8 { UInt8(truncatingIfNeeded: interruptPageOrTarget) }
  /// From 5.1 on: the virtual trust level of the guest's bus driver (without isolation: 0).
  public var vtl: UInt8 { UInt8(truncatingIfNeeded: interruptPageOrTarget >> 8) }
  /// From 6.0 on: the features that the guest knows.
  public var features: UInt32 { UInt32(truncatingIfNeeded: interruptPageOrTarget >> 32) }

  public var byteCount: Int { clientID == nil ? Self.wireSize : Self.wireSizeWithClientID }

  public init(
    version: ProtocolVersion, targetVP: VPIndex, interruptPageOrTarget: UInt64,
    hostToGuestMonitorPage: UInt64 = 0, guestToHostMonitorPage: UInt64 = 0, clientID: GUID? = nil
  ) {
    self.version = version
    self.targetVP = targetVP
    self.interruptPageOrTarget = interruptPageOrTarget
    self.hostToGuestMonitorPage = hostToGuestMonitorPage
    self.guestToHostMonitorPage = guestToHostMonitorPage
    self.clientID = clientID
  }

  /// The word at byte 16 from version 5.0 on.
  public static func target(sint: UInt8, vtl: UInt8 = 0, features: UInt32 = 0) -> UInt64 {
    UInt64(sint) | UInt64(vtl) << 8 | UInt64(features) << 32
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    version = ProtocolVersion(rawValue: try bytes.read(UInt32.self, at: 8))
    targetVP = VPIndex(try bytes.read(UInt32.self, at: 12))
    interruptPageOrTarget = try bytes.read(UInt64.self, at: 16)
    hostToGuestMonitorPage = try bytes.read(UInt64.self, at: 24)
    guestToHostMonitorPage = try bytes.read(UInt64.self, at: 32)
    let hasClientID = version >= .v6_0 && bytes.byteCount >= Self.wireSizeWithClientID
    clientID = hasClientID ? try GUID(decoding: bytes, at: 40) : nil
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(version.rawValue, at: 8)
    try bytes.write(targetVP.rawValue, at: 12)
    try bytes.write(interruptPageOrTarget, at: 16)
    try bytes.write(hostToGuestMonitorPage, at: 24)
    try bytes.write(guestToHostMonitorPage, at: 32)
    if let clientID { try clientID.encode(into: &bytes, at: 40) }
  }
}

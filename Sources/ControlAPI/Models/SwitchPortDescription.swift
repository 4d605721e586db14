// SPDX-License-Identifier: Apache-2.0

/// A port of a virtual switch.
public struct SwitchPortDescription: Codable, Hashable, Sendable {
  public enum Kind: String, Codable, CaseIterable, Sendable {
    /// A way out.
    case uplink
    /// A machine's adapter.
    case adapter
  }

  public var name: String
  public var kind: Kind
  /// What an uplink leads to, or who attached the adapter.
  public var detail: String
  public var up: Bool
  public var vlan: PortVLAN
  /// The adapter's own address, where it has one.
  public var macAddress: String?
  public var allowSpoofing: Bool
  public var isolated: Bool
  public var routerGuard: Bool
  public var dhcpGuard: Bool
  public var mtu: Int
  public var receivedFrames: UInt64
  public var receivedBytes: UInt64
  public var sentFrames: UInt64
  public var sentBytes: UInt64
  /// Frames that did not go on, by reason; without those that are 0.
  public var dropped: [String: UInt64]

  public init(
    name: String, kind: Kind, detail: String, up: Bool, vlan: PortVLAN, macAddress: String?, allowSpoofing: Bool,
    isolated: Bool, routerGuard: Bool, dhcpGuard: Bool, mtu: Int, receivedFrames: UInt64 = 0,
    receivedBytes: UInt64 = 0, sentFrames: UInt64 = 0, sentBytes: UInt64 = 0, dropped: [String: UInt64] = [:]
  ) {
    self.name = name
    self.kind = kind
    self.detail = detail
    self.up = up
    self.vlan = vlan
    self.macAddress = macAddress
    self.allowSpoofing = allowSpoofing
    self.isolated = isolated
    self.routerGuard = routerGuard
    self.dhcpGuard = dhcpGuard
    self.mtu = mtu
    self.receivedFrames = receivedFrames
    self.receivedBytes = receivedBytes
    self.sentFrames = sentFrames
    self.sentBytes = sentBytes
    self.dropped = dropped
  }
}

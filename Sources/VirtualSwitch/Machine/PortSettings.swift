// SPDX-License-Identifier: Apache-2.0

/// What an administrator says about a port.
public struct PortSettings: Hashable, Sendable {
  public var vlan: VLANMode
  /// The adapter's address, where the port belongs to one adapter. Others may then not use it, and frames to addresses
  /// that nobody has shown are not sent here.
  public var address: MACAddress?
  /// Frames may have other sources than `address`: for guests that bridge, and for uplinks.
  public var allowsSpoofing: Bool
  /// Isolated ports reach only ports that are not.
  public var isIsolated: Bool
  /// Refuses router advertisements and redirects from here.
  public var guardsRouters: Bool
  /// Refuses answers of DHCP servers from here.
  public var guardsDHCP: Bool
  /// Bytes of a frame after its Ethernet header and tags, 68 to 65521.
  public var maximumPayload: Int

  public init(
    vlan: VLANMode = .untagged, address: MACAddress? = nil, allowsSpoofing: Bool = false, isIsolated: Bool = false,
    guardsRouters: Bool = false, guardsDHCP: Bool = false, maximumPayload: Int = 1500
  ) {
    self.vlan = vlan
    self.address = address
    self.allowsSpoofing = allowsSpoofing
    self.isIsolated = isIsolated
    self.guardsRouters = guardsRouters
    self.guardsDHCP = guardsDHCP
    self.maximumPayload = maximumPayload
  }

  /// A way out: all VLANs with tags, the rest without, any address.
  public static func uplink(maximumPayload: Int = 1500) -> PortSettings {
    PortSettings(
      vlan: .trunk(allowed: .all, native: .none), allowsSpoofing: true, maximumPayload: maximumPayload)
  }

  /// Whether only frames to its own address and to groups concern this port.
  var hasOneAddress: Bool { address != nil && !allowsSpoofing }

  public func check() throws(SwitchError) {
    switch vlan {
    case .untagged: break
    case .access(let id):
      guard (1...4094).contains(id.rawValue) else { throw .vlanOutOfRange(Int(id.rawValue)) }
    case .trunk(let allowed, let native):
      guard native.rawValue <= 4094 else { throw .vlanOutOfRange(Int(native.rawValue)) }
      guard !allowed.isEmpty else { throw .emptyTrunk }
    }
    if let address, !address.isUsable { throw .unusableAddress(address) }
    guard Self.payloads.contains(maximumPayload) else { throw .payloadOutOfRange(maximumPayload) }
  }

  /// What IPv4 needs at least, and Hyper-V's jumbo frames less the Ethernet header at most (as TAP devices allow more,
  /// so does the machine).
  public static let payloads = 68...65521
}

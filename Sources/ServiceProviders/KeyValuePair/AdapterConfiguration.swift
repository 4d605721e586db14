// SPDX-License-Identifier: Apache-2.0

/// The IP settings of one network adapter in the guest.
public struct AdapterConfiguration: Hashable, Sendable {
  /// Bit 0 IPv4, bit 1 IPv6, as on the wire.
  public struct Families: OptionSet, Hashable, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let ipv4 = Families(rawValue: 1)
    public static let ipv6 = Families(rawValue: 2)
  }

  public var families: Families
  public var dhcp: Bool
  public var addresses: [String]
  /// One mask for each address: dotted for IPv4, "/64" for IPv6.
  public var masks: [String]
  public var gateways: [String]
  public var nameServers: [String]

  public init(
    families: Families = [], dhcp: Bool = false, addresses: [String] = [], masks: [String] = [],
    gateways: [String] = [], nameServers: [String] = []
  ) {
    self.families = families
    self.dhcp = dhcp
    self.addresses = addresses
    self.masks = masks
    self.gateways = gateways
    self.nameServers = nameServers
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The addresses of one network adapter of the guest, read and set through the data exchange service.
public struct AdapterAddresses: Codable, Hashable, Sendable {
  /// What names the adapter to the guest: a hardware address (`00:15:5d:00:00:01`) or the adapter's instance GUID.
  public var adapter: String
  /// The guest gets its addresses by DHCP.
  public var dhcp: Bool
  public var ipv4: Bool
  public var ipv6: Bool
  public var addresses: [String]
  /// One per address: a dotted mask for IPv4, a prefix length for IPv6.
  public var subnets: [String]
  public var gateways: [String]
  public var dnsServers: [String]

  public init(
    adapter: String, dhcp: Bool = false, ipv4: Bool = true, ipv6: Bool = false, addresses: [String] = [],
    subnets: [String] = [], gateways: [String] = [], dnsServers: [String] = []
  ) {
    self.adapter = adapter
    self.dhcp = dhcp
    self.ipv4 = ipv4
    self.ipv6 = ipv6
    self.addresses = addresses
    self.subnets = subnets
    self.gateways = gateways
    self.dnsServers = dnsServers
  }
}

/// The body of `PUT /v1/adapters/{adapter}`. Absent lists are sent as empty ones.
public struct AdapterUpdate: StrictlyDecodable, Encodable, Hashable {
  public var dhcp: Bool
  public var ipv4: Bool?
  public var ipv6: Bool?
  public var addresses: [String]?
  public var subnets: [String]?
  public var gateways: [String]?
  public var dnsServers: [String]?

  public init(
    dhcp: Bool, ipv4: Bool? = nil, ipv6: Bool? = nil, addresses: [String]? = nil, subnets: [String]? = nil,
    gateways: [String]? = nil, dnsServers: [String]? = nil
  ) {
    self.dhcp = dhcp
    self.ipv4 = ipv4
    self.ipv6 = ipv6
    self.addresses = addresses
    self.subnets = subnets
    self.gateways = gateways
    self.dnsServers = dnsServers
  }

  public static let knownFields: Set<String> = [
    "dhcp", "ipv4", "ipv6", "addresses", "subnets", "gateways", "dnsServers",
  ]
}

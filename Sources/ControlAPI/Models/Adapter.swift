// SPDX-License-Identifier: Apache-2.0

/// The addresses of one network adapter of the guest, read and set through the data exchange service.
public struct AdapterAddresses: Codable, Hashable, Sendable {
  /// What names the adapter to the guest: when read its MAC address, when set its instance GUID (hv_kvp_daemon, Linux 6.1).
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

  /// With the defaults filled in. A family that is not mentioned follows from the addresses.
  func addresses(for adapter: String) throws(ControlError) -> AdapterAddresses {
    let addresses = addresses ?? []
    let hasIPv6 = addresses.contains { $0.contains(":") }
    let hasIPv4 = addresses.contains { !$0.contains(":") }
    guard dhcp || !addresses.isEmpty else {
      throw ControlError(.badRequest, "neither DHCP nor an address is given", remedy: "give one of them")
    }
    guard (subnets ?? []).count == addresses.count else {
      throw ControlError(
        .badRequest, "\(addresses.count) addresses but \((subnets ?? []).count) subnets", remedy: "give one per address"
      )
    }
    for text in addresses + (subnets ?? []) + (gateways ?? []) + (dnsServers ?? [])
    where text.isEmpty || !text.utf8.allSatisfy({ Self.isAddressCharacter($0) }) {
      throw ControlError(.badRequest, "\"\(text)\" is not an address")
    }
    return AdapterAddresses(
      adapter: adapter, dhcp: dhcp, ipv4: ipv4 ?? (dhcp || hasIPv4), ipv6: ipv6 ?? hasIPv6, addresses: addresses,
      subnets: subnets ?? [], gateways: gateways ?? [], dnsServers: dnsServers ?? [])
  }

  /// Lists are sent with semicolons between the items and the guest hands them to a shell script: nothing but what an
  /// address can hold may get there.
  private static func isAddressCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x46, 0x61...0x66, 0x2e, 0x2f, 0x3a: true
    default: false
    }
  }

  public static let knownFields: Set<String> = [
    "dhcp", "ipv4", "ipv6", "addresses", "subnets", "gateways", "dnsServers",
  ]
}

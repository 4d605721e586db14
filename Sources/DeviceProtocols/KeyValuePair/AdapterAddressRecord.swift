// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The two plain fields of an adapter's IP settings and where its texts lie. Texts are UTF-16; lists are separated by ";".
///
/// Layout: `hv_kvp_ipaddr_value` in include/uapi/linux/hyperv.h of Linux 6.1.
public struct AdapterAddressRecord: Hashable, Sendable {
  public static let wireSize = 7426

  /// A text field: where it begins and how many UTF-16 units it has, the terminator included.
  public struct Field: Hashable, Sendable {
    public let offset: Int
    public let units: Int
  }

  public static var adapter: Field { Field(offset: 0, units: 128) }
  public static var addresses: Field { Field(offset: 258, units: 1024) }
  public static var masks: Field { Field(offset: 2306, units: 1024) }
  public static var gateways: Field { Field(offset: 4354, units: 512) }
  public static var nameServers: Field { Field(offset: 5378, units: 1024) }

  /// How many text fields there are.
  public static var fieldCount: Int { 5 }
  /// The text fields by number, in the order of their places.
  public static func field(_ number: Int) -> Field {
    switch number {
    case 0: adapter
    case 1: addresses
    case 2: masks
    case 3: gateways
    default: nameServers
    }
  }

  /// Bit 0 IPv4, bit 1 IPv6. Offset 256.
  public var families: UInt8
  /// Offset 257.
  public var dhcp: UInt8

  public init(families: UInt8, dhcp: UInt8) {
    self.families = families
    self.dhcp = dhcp
  }

  public init(decoding bytes: RawSpan, at offset: Int) throws(WireError) {
    let record = try bytes.slice(at: offset, count: Self.wireSize)
    families = try record.read(UInt8.self, at: 256)
    dhcp = try record.read(UInt8.self, at: 257)
  }

  /// Writes the plain fields; the texts are left as they are.
  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    try bytes.write(UInt16(families) | UInt16(dhcp) &<< 8, at: offset &+ 256)
  }
}

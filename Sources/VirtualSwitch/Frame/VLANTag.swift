// SPDX-License-Identifier: Apache-2.0

/// An 802.1Q tag's control information: priority (3 bits), drop eligible (1), VLAN id (12). Id 0 is a priority tag.
public struct VLANTag: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public init(_ id: VLANID, priority: UInt8 = 0, dropEligible: Bool = false) {
    rawValue = id.rawValue & 0xfff | UInt16(priority & 7) << 13 | (dropEligible ? 0x1000 : 0)
  }

  public var id: VLANID { VLANID(rawValue: rawValue & 0xfff) }
  public var priority: UInt8 { UInt8(rawValue >> 13) }
  public var isDropEligible: Bool { rawValue & 0x1000 != 0 }

  /// The same priority in another VLAN.
  public func with(_ id: VLANID) -> VLANTag { VLANTag(rawValue: rawValue & 0xf000 | id.rawValue & 0xfff) }

  /// The ethertypes that begin a tag: a customer's (802.1Q) and a provider's (802.1ad).
  static let etherType: UInt16 = 0x8100
  static let serviceEtherType: UInt16 = 0x88a8
}

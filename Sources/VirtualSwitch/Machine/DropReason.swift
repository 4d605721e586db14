// SPDX-License-Identifier: Apache-2.0

/// Why a frame did not go on. Up to `.dhcpGuard` and at `.noReceiver` the port that sent it counts it; the others count
/// where it would have left.
public enum DropReason: UInt8, CaseIterable, Sendable {
  /// Too short for its headers, or offloads that do not fit it.
  case malformed
  /// Longer than the port's MTU allows.
  case tooLong
  /// A group or zero as source.
  case badSource
  /// To a group that bridges keep to themselves.
  case reservedAddress
  /// A tag where the port may send none, an id that a trunk does not carry, or one that is reserved.
  case vlan
  /// Not the port's address as source, or another port's.
  case spoofed
  case routerGuard
  case dhcpGuard
  /// Nobody to get it.
  case noReceiver
  /// Would arrive with a tag that nobody judged (a second tag behind the one that was taken off).
  case hiddenTag
  /// The receiver had no room.
  case noRoom
  /// The receiver cannot take it and the switch cannot change it so that it could.
  case unsupportedOffload
  /// The receiver's link is down.
  case linkDown

  public static let count = 13

  public var name: String {
    switch self {
    case .malformed: "malformed"
    case .tooLong: "too-long"
    case .badSource: "bad-source"
    case .reservedAddress: "reserved-address"
    case .vlan: "vlan"
    case .spoofed: "spoofed"
    case .routerGuard: "router-guard"
    case .dhcpGuard: "dhcp-guard"
    case .noReceiver: "no-receiver"
    case .hiddenTag: "hidden-tag"
    case .noRoom: "no-room"
    case .unsupportedOffload: "unsupported-offload"
    case .linkDown: "link-down"
    }
  }
}

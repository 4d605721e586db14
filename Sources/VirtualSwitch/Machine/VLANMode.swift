// SPDX-License-Identifier: Apache-2.0

/// How a port takes part in VLANs: Hyper-V's three modes.
public enum VLANMode: Codable, Hashable, Sendable {
  /// In the network without a VLAN. Neither sends nor gets tags.
  case untagged
  /// In one VLAN, of which it sees nothing: its frames have no tags.
  case access(VLANID)
  /// Carries the allowed VLANs with tags, and the native one (or the network without a VLAN, for `.none`) without.
  case trunk(allowed: VLANSet, native: VLANID)

  func carries(_ id: VLANID) -> Bool {
    switch self {
    case .untagged: id == .none
    case .access(let own): id == own
    case .trunk(let allowed, let native): id == native || id != .none && allowed.contains(id)
    }
  }

  /// Whether frames of a VLAN that it carries leave with a tag.
  func tags(_ id: VLANID) -> Bool {
    if case .trunk(_, let native) = self { id != native } else { false }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// What becomes of a frame's tag on the way to one port.
public enum TagAction: Hashable, Sendable {
  /// The bytes go as they are.
  case leave
  /// The four bytes after the addresses are left out.
  case strip
  /// Four bytes are put after the addresses.
  case insert(VLANTag)
  /// The four bytes after the addresses become others.
  case replace(VLANTag)
  /// The tag goes beside the frame; `strip`: and the four bytes are left out.
  case outOfBand(VLANTag, strip: Bool)

  /// How many bytes more (or fewer) arrive.
  public var growth: Int {
    switch self {
    case .leave, .replace: 0
    case .strip: -4
    case .insert: 4
    case .outOfBand(_, let strip): strip ? -4 : 0
    }
  }
}

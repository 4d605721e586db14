// SPDX-License-Identifier: Apache-2.0

/// Where one frame goes, and how. Fixed in size, whatever the count of ports.
public struct Forwarding: Sendable {
  /// Empty when the frame was dropped.
  public internal(set) var ports = PortSet()
  /// Those of `ports` that get the tag.
  public internal(set) var tagged = PortSet()
  /// The frame's VLAN and priority.
  public internal(set) var tag = VLANTag(rawValue: 0)
  /// Its bytes hold the tag that was judged.
  public internal(set) var hasTagInBytes = false
  /// The tag that the bytes hold, where they do.
  public internal(set) var tagInBytes = VLANTag(rawValue: 0)
  /// Why it goes nowhere.
  public internal(set) var drop: DropReason?

  /// `outOfBand`: the receiver takes tags beside the frame.
  public func action(for port: PortID, outOfBand: Bool) -> TagAction {
    guard tagged.contains(port) else { return hasTagInBytes ? .strip : .leave }
    if outOfBand { return .outOfBand(tag, strip: hasTagInBytes) }
    if hasTagInBytes { return tagInBytes == tag ? .leave : .replace(tag) }
    return .insert(tag)
  }
}

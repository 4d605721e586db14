// SPDX-License-Identifier: Apache-2.0

/// What a port takes beside plain frames. What it does not take, the switch does in software for it.
public struct PortCapabilities: Hashable, Sendable {
  /// Tags come beside the frame.
  public var tagsOutOfBand: Bool
  /// Frames whose checksum is still to be computed.
  public var unfinishedChecksums: Bool
  public var tcp4Segmentation: Bool
  public var tcp6Segmentation: Bool
  public var udpSegmentation: Bool

  public init(
    tagsOutOfBand: Bool = false, unfinishedChecksums: Bool = false, tcp4Segmentation: Bool = false,
    tcp6Segmentation: Bool = false, udpSegmentation: Bool = false
  ) {
    self.tagsOutOfBand = tagsOutOfBand
    self.unfinishedChecksums = unfinishedChecksums
    self.tcp4Segmentation = tcp4Segmentation
    self.tcp6Segmentation = tcp6Segmentation
    self.udpSegmentation = udpSegmentation
  }

  public static let none = PortCapabilities()
  /// What TAP devices and packet sockets take.
  static let virtioNet = PortCapabilities(
    unfinishedChecksums: true, tcp4Segmentation: true, tcp6Segmentation: true)

  func takes(_ offloads: FrameOffloads) -> Bool {
    switch offloads.segmentation {
    case .none: break
    case .tcp4: guard tcp4Segmentation else { return false }
    case .tcp6: guard tcp6Segmentation else { return false }
    case .udp: guard udpSegmentation else { return false }
    case .udpFragments: return false
    }
    if case .needed = offloads.checksum { return unfinishedChecksums }
    return true
  }
}

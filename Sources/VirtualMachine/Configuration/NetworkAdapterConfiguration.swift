// SPDX-License-Identifier: Apache-2.0

public import VirtualSwitch

/// A network adapter of the machine.
public struct NetworkAdapterConfiguration: Codable, Hashable, Sendable {
  /// Hyper-V's limit of synthetic adapters.
  public static let maximumCount = 8
  /// Hyper-V's limit of emulated ones.
  public static let maximumLegacyCount = 4
  /// Payload bytes of a frame, without the Ethernet header: IPv6's minimum up to Hyper-V's jumbo frames.
  public static let payloads = 1280...9216
  /// Channels that carry frames: Linux's `VRSS_CHANNEL_MAX` is beyond what eight processors use.
  public static let channelCounts = 1...8

  /// Emulated: a DEC 21140 on PCI, for guests without Hyper-V's drivers.
  public var isLegacy: Bool
  /// Unique in the machine.
  public var name: String
  public var connection: NetworkConnection
  public var address: MACAddress
  public var vlan: VLANMode
  /// The largest MTU that the guest may set; also what it starts with, up to 1500.
  public var maximumPayload: Int
  /// The guest may send from, and set, other addresses.
  public var allowsSpoofing: Bool
  public var isIsolated: Bool
  public var guardsRouters: Bool
  public var guardsDHCP: Bool
  /// nil: as many as processors.
  public var channels: Int?
  /// The guest signals its channels through the monitor page: for drivers outside of its kernel, as DPDK's.
  public var isMonitored: Bool
  /// Ports of the host that lead to the guest, for `user`: `tcp:2222:22`.
  public var forwards: [PortForwarding]

  public init(
    name: String, connection: NetworkConnection, address: MACAddress, vlan: VLANMode = .untagged,
    maximumPayload: Int = 1500, allowsSpoofing: Bool = false, isIsolated: Bool = false, guardsRouters: Bool = false,
    guardsDHCP: Bool = false, channels: Int? = nil, isMonitored: Bool = false, forwards: [PortForwarding] = [],
    isLegacy: Bool = false
  ) {
    self.isLegacy = isLegacy
    self.name = name
    self.connection = connection
    self.address = address
    self.vlan = vlan
    self.maximumPayload = maximumPayload
    self.allowsSpoofing = allowsSpoofing
    self.isIsolated = isIsolated
    self.guardsRouters = guardsRouters
    self.guardsDHCP = guardsDHCP
    self.channels = channels
    self.isMonitored = isMonitored
    self.forwards = forwards
  }

  /// What the switch holds this adapter's port to.
  public var portSettings: PortSettings {
    PortSettings(
      vlan: vlan, address: address, allowsSpoofing: allowsSpoofing, isIsolated: isIsolated,
      guardsRouters: guardsRouters, guardsDHCP: guardsDHCP, maximumPayload: maximumPayload)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What an adapter offers its guest; fixed over its life.
public struct NetworkConfiguration: Sendable {
  /// The address that the guest finds. Not zero, no group.
  public var address: EthernetAddress
  /// Whether the guest may take another one.
  public var allowsAddressChange: Bool
  /// Bytes of the longest frame without its Ethernet header, 68…65521: what the way out carries. Linux lowers its own to
  /// this.
  public var maximumMTU: UInt32
  /// In bits per second.
  public var linkSpeed: UInt64
  /// Newer versions are refused, so that the guest asks for an older one.
  public var maximumVersion: NVSPVersion
  /// Channels besides the first.
  public var maximumSubChannels: UInt16
  public var offloads: NetworkOffloads
  /// Linux makes it the interface's alias, unless it is "Network Adapter".
  public var name: String
  /// Packets of one channel that may be worked on or wait for room in the ring. While there are as many the guest's ring
  /// is not read, so this is the bound of what the guest can pile up.
  public var packetsPerChannel: Int

  public init(
    address: EthernetAddress, allowsAddressChange: Bool = false, maximumMTU: UInt32 = 9000,
    linkSpeed: UInt64 = 10_000_000_000, maximumVersion: NVSPVersion = .v6_1, maximumSubChannels: UInt16 = 0,
    offloads: NetworkOffloads = NetworkOffloads(), name: String = "Network Adapter", packetsPerChannel: Int = 1024
  ) {
    precondition(address.isUsable && maximumMTU >= 68 && maximumMTU <= 65521 && packetsPerChannel > 0)
    self.address = address
    self.allowsAddressChange = allowsAddressChange
    self.maximumMTU = maximumMTU
    self.linkSpeed = linkSpeed
    self.maximumVersion = maximumVersion
    self.maximumSubChannels = min(maximumSubChannels, 63)
    self.offloads = offloads
    self.name = name
    self.packetsPerChannel = packetsPerChannel
  }
}

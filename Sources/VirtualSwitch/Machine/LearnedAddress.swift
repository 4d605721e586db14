// SPDX-License-Identifier: Apache-2.0

/// An address that the switch has seen as a source.
public struct LearnedAddress: Hashable, Sendable {
  public let address: MACAddress
  public let vlan: VLANID
  public let port: PortID
  /// Nanoseconds since it was last seen.
  public let age: UInt64
}

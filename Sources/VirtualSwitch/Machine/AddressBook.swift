// SPDX-License-Identifier: Apache-2.0

/// Who was last seen where, as a frame is judged by it.
protocol AddressBook {
  /// False: no room for it. Frames to it are then flooded.
  mutating func learn(_ address: MACAddress, in vlan: VLANID, at port: PortID, now: UInt64) -> Bool
  mutating func find(_ address: MACAddress, in vlan: VLANID, now: UInt64) -> PortID?
}

// SPDX-License-Identifier: Apache-2.0

/// The guest's memory, as a bus master with 32 address lines reaches it. Every address comes from the guest: what is not RAM
/// in one piece is refused, never touched.
public protocol DeviceMemory {
  /// A word at a multiple of four. What follows is read after it.
  func load(_ address: UInt32) -> UInt32?
  /// A word at a multiple of four. What came before is seen before it. false: not RAM.
  func store(_ value: UInt32, at address: UInt32) -> Bool
  /// Copies out. false: not RAM, and nothing was copied.
  func read(_ address: UInt32, into bytes: UnsafeMutableRawBufferPointer) -> Bool
  /// Copies in. false: not RAM, and nothing was copied.
  func write(_ address: UInt32, from bytes: UnsafeRawBufferPointer) -> Bool
}

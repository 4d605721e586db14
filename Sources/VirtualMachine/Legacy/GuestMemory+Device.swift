// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import Partition
import Synchronization

/// The guest's memory, as an emulated bus master reaches it.
struct GuestDeviceMemory: DeviceMemory {
  let memory: GuestMemory

  private func word(_ address: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>>? {
    guard address & 3 == 0 else { return nil }
    return unsafe memory.pointer(to: UInt64(address), count: 4)?.assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  func load(_ address: UInt32) -> UInt32? { unsafe word(address)?.pointee.load(ordering: .acquiring) }

  func store(_ value: UInt32, at address: UInt32) -> Bool {
    guard let word = unsafe word(address) else { return false }
    unsafe word.pointee.store(value, ordering: .releasing)
    return true
  }

  func read(_ address: UInt32, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
    (try? unsafe memory.read(UInt64(address), into: bytes)) != nil
  }

  func write(_ address: UInt32, from bytes: UnsafeRawBufferPointer) -> Bool {
    (try? unsafe memory.write(UInt64(address), from: bytes)) != nil
  }
}

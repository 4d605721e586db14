// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization

/// Port writes that KVM keeps for us instead of coming back for each ("coalesced" port I/O): they wait in a ring that KVM
/// shares with this process, in the order in which processors made them, and are carried out before the next access to a
/// device that does come back. For registers whose writing has no effect that could be seen before that.
///
/// The ring is one for the whole machine (`kvm_coalesced_mmio_ring`: u32 first, which we own, u32 last, which KVM owns,
/// then entries of u64 address, u32 count, u32 kind, 8 bytes). All processors drain it under one lock, and carry out what
/// they found before they give the lock back, so the order stays.
final class BatchedWrites: Sendable {
  private static let pageBytes = 4096
  private static let headerBytes = 8
  private static let entryBytes = 24
  private static let capacity = UInt32((pageBytes - headerBytes) / entryBytes)

  @safe private struct Ring: ~Copyable {
    let page: UnsafeMutableRawPointer
    var taken: UInt64 = 0

    init(page: UnsafeMutableRawPointer) { unsafe self.page = unsafe page }

    deinit { unsafe munmap(page, BatchedWrites.pageBytes) }

    func index(_ number: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
      unsafe (page + 4 * number).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
  }

  private let ring: Mutex<Ring>

  /// nil where KVM cannot do it. `processor`: any of the machine's.
  init?(_ machine: VirtualMachineDescriptor, processor: VirtualProcessor) {
    guard machine.batchedWritesPage > 0 else { return nil }
    let offset = machine.batchedWritesPage * Self.pageBytes
    guard
      let page = unsafe mmap(
        nil, Self.pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, processor.descriptor.number, offset),
      unsafe page != MAP_FAILED
    else { return nil }
    ring = Mutex(unsafe Ring(page: page))
  }

  /// How many writes cost no trip.
  var taken: UInt64 { ring.withLock { $0.taken } }

  /// Carries out what waits, then `body`.
  func settle(into devices: any PortDevices, _ body: () -> Void) {
    ring.withLock { ring in
      var first = unsafe ring.index(0).pointee.load(ordering: .relaxed)
      // Acquires: the entries in front of it are whole.
      let last = unsafe ring.index(1).pointee.load(ordering: .acquiring)
      if first != last, first < Self.capacity, last < Self.capacity {
        while first != last {
          let entry = unsafe ring.page + Self.headerBytes + Int(first) * Self.entryBytes
          let address = unsafe entry.load(as: UInt64.self)
          let count = unsafe Int(entry.load(fromByteOffset: 8, as: UInt32.self))
          if address <= 0xFFFF, count == 1 || count == 2 || count == 4 {
            let bytes = unsafe RawSpan(_unsafeStart: entry + 16, byteCount: count)
            devices.portWrite(UInt16(address), size: count, from: bytes)
          }
          ring.taken &+= 1
          first = (first + 1) % Self.capacity
        }
        unsafe ring.index(0).pointee.store(first, ordering: .releasing)
      }
      body()
    }
  }

  /// Forgets what waits. No processor runs.
  func reset() {
    ring.withLock { ring in
      let last = unsafe ring.index(1).pointee.load(ordering: .acquiring)
      unsafe ring.index(0).pointee.store(last, ordering: .releasing)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing

@testable import LegacyDevices

/// Descriptors and registers of guests that mean no good, or are only odd.
@Suite struct HostileEthernetTests {
  private let owned: UInt32 = 0x8000_0000

  /// After a bus error nothing goes on but a reset.
  private func expectFailed(_ rig: inout EthernetRig) {
    #expect(rig.csr(5) & 0x0380_2000 == 0x0080_2000 && rig.controller.interrupt)
    rig.demand()
    #expect(!rig.controller.hasWork && rig.receive(EthernetRig.frame()) == .notReady)
    rig.csr(6, 0)
    rig.csr(6, 0x0206_2002)
    #expect(rig.csr(5) & 0x007E_0000 == 0)
    rig.csr(0, 1)
    #expect(rig.csr(5) == 0)
  }

  @Test(arguments: [0x000F_FFF4, 0x0010_0000, 0xFFFF_FFF0, 0xF800_0000] as [UInt32])
  func descriptorsThatAreNotMemory(position: UInt32) {
    var rig = EthernetRig()
    _ = rig.memory.store(owned, at: position & 0xF_FFFC)
    rig.csr(4, position)
    rig.demand()
    #expect(rig.send() == [])
    expectFailed(&rig)
    rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    _ = rig.memory.store(owned, at: position & 0xF_FFFC)
    rig.csr(3, position)
    #expect(rig.receive(EthernetRig.frame()) == .notReady)
    expectFailed(&rig)
  }

  @Test(arguments: [0x000F_FFD0, 0x0010_0000, 0xFFFF_FFF0] as [UInt32])
  func buffersThatAreNotMemory(address: UInt32) {
    for control in [0x6000_0000 | 60, 0x6000_0000 | 60 << 11, 0x0800_0000 | 192] as [UInt32] {
      var rig = EthernetRig()
      rig.descriptor(0x1000, owned, control, address, address)
      rig.demand()
      #expect(rig.send() == [])
      expectFailed(&rig)
    }
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 1536, address)
    #expect(rig.receive(EthernetRig.frame()) == .notReady)
    expectFailed(&rig)
  }

  /// Legal: the very last bytes of memory, and descriptors at its end.
  @Test func theEndOfMemory() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    let end = UInt32(RigMemory.byteCount)
    rig.put(EthernetRig.frame(), at: end - 60)
    rig.descriptor(0x1000, owned, 0x6000_0000 | 60, end - 60)
    rig.csr(4, 0x1000)
    rig.demand()
    #expect(rig.send() == [EthernetRig.frame()])
    rig.csr(3, end - 16)
    rig.descriptor(end - 16, owned, 0x0200_0000 | 64, 0x2_0000)
    #expect(rig.receive(EthernetRig.frame()) == .received && rig.csr(5) & 0x2000 == 0)
  }

  @Test func framesThatAreTooLong() {
    var rig = EthernetRig()
    // 2 × 2047 bytes in one descriptor, then one byte too many in three, then the longest there is.
    rig.descriptor(0x1000, owned, 0x6000_0000 | 0x7FF << 11 | 0x7FF, 0x1_0000, 0x1_0000)
    rig.descriptor(0x1010, owned, 0x2000_0000 | 1000 << 11 | 500, 0x1_0000, 0x1_0000)
    rig.descriptor(0x1020, owned, 0x4000_0000 | 19, 0x1_0000)
    rig.descriptor(0x1030, owned, 0x2000_0000 | 1000 << 11 | 500, 0x1_0000, 0x1_0000)
    rig.descriptor(0x1040, owned, 0x4000_0000 | 18, 0x1_0000)
    rig.demand()
    #expect(rig.send().map(\.count) == [1518])
    #expect(rig.memory.load(0x1000) == 0xC000 && rig.memory.load(0x1020) == 0xC000 && rig.memory.load(0x1010) == 0)
    #expect(rig.csr(5) & 0x8008 == 0x8008)
  }

  @Test func framesWithoutBeginningOrEnd() {
    var rig = EthernetRig()
    rig.put(EthernetRig.frame(), at: 0x1_0000)
    rig.descriptor(0x1000, owned, 0x4000_0000 | 60, 0x1_0000)
    rig.descriptor(0x1010, owned, 60, 0x1_0000)
    // Two beginnings: the second one counts.
    rig.descriptor(0x1020, owned, 0x2000_0000 | 30, 0x1_0000)
    rig.descriptor(0x1030, owned, 0x6000_0000 | 60, 0x1_0000)
    // Behind the end, without a beginning.
    rig.descriptor(0x1040, owned, 0x4000_0000 | 60, 0x1_0000)
    rig.descriptor(0x1050, owned, 0x2000_0000 | 30, 0x1_0000)
    // A list elsewhere begins without what was collected.
    rig.demand()
    #expect(rig.send() == [EthernetRig.frame()])
    rig.csr(4, 0x3000)
    rig.descriptor(0x3000, owned, 0x4000_0000 | 30, 0x1_001E)
    rig.demand()
    #expect(rig.send() == [])
  }

  /// A ring of descriptors that send nothing is worked off in turns, each descriptor once.
  @Test func manyEmptyDescriptors() {
    var rig = EthernetRig()
    for index in 0..<1000 { rig.descriptor(0x1_0000 + UInt32(index * 16), owned, 0, 0) }
    rig.csr(4, 0x1_0000)
    rig.demand()
    #expect(rig.controller.transmit(memory: rig.memory) == .unfinished)
    #expect(rig.memory.stored.count == EthernetController.descriptorsPerCall)
    #expect(rig.send() == [] && rig.memory.stored.count == 1000)
  }

  @Test func chainsInACircle() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    // To itself: it is the driver's after the first visit.
    rig.csr(4, 0x1000)
    rig.descriptor(0x1000, owned, 0x0100_0000, 0, 0x1000)
    rig.demand()
    #expect(rig.send() == [] && rig.memory.stored == [0x1000])
    // For receiving: all of the circle is not enough.
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 0x0100_0000 | 16, 0x2_0000, 0x2010)
    rig.descriptor(0x2010, owned, 0x0100_0000 | 16, 0x2_0000, 0x2020)
    rig.descriptor(0x2020, owned, 0x0100_0000 | 16, 0x2_0000, 0x2010)
    #expect(rig.receive(EthernetRig.frame()) == .noRoom && rig.memory.stored.isEmpty)
    // Without any room at all.
    rig.csr(3, 0x3_0000)
    for index in 0..<4096 { rig.descriptor(0x3_0000 + UInt32(index * 16), owned, 3, 0x2_0000) }
    #expect(rig.receive(EthernetRig.frame()) == .noRoom && rig.memory.stored.isEmpty)
  }

  /// The buffer is the ring: what was read first is what counts.
  @Test func descriptorsThatOverwriteEachOther() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 64, 0x2000)
    #expect(rig.receive(EthernetRig.frame()) == .received)
    #expect(rig.memory.load(0x2000) == 0x0040_0320)
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 32, 0x2010)
    rig.descriptor(0x2010, owned, 32, 0x2000)
    #expect(rig.receive(EthernetRig.frame()) == .received)
  }

  @Test func setupFramesOfOtherSizes() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    for count in [0, 1, 191, 193, 2047] as [UInt32] {
      rig.csr(4, 0x1000)
      rig.descriptor(0x1000, owned, 0x0800_0000 | count, 0x4_0000)
      rig.demand()
      #expect(rig.send() == [])
    }
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 1536, 0x2_0000)
    #expect(rig.receive(EthernetRig.frame()) == .received, "the filter is another one")
  }

  /// A reset, or a new list, while a frame is being collected.
  @Test func aResetInTheMiddleOfAFrame() {
    var rig = EthernetRig()
    rig.descriptor(0x1000, owned, 0x2000_0000 | 30, 0x1_0000)
    rig.demand()
    #expect(rig.send() == [])
    rig.csr(0, 1)
    rig.csr(4, 0x1010)
    rig.csr(6, 0x2000)
    rig.descriptor(0x1010, owned, 0x4000_0000 | 30, 0x1_0000)
    #expect(rig.send() == [])
  }

  /// Any values in any registers and descriptors: nothing traps, calls end, and nothing is written outside memory.
  @Test(arguments: 1...8 as ClosedRange<UInt64>) func anything(seed: UInt64) {
    var state = seed &* 0x9E37_79B9_7F4A_7C15
    func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    for _ in 0..<4000 {
      let value = UInt32(truncatingIfNeeded: next())
      switch next() % 8 {
      case 0: rig.controller.write(Int(next() % 140), size: 4, value)
      case 1: _ = rig.controller.read(Int(next() % 140), size: 4)
      case 2...4:
        let ring: UInt32 = next() % 2 == 0 ? 0x1000 : 0x2000
        let owner = next() % 4 == 0 ? 0 : owned
        let far = next() % 32 == 0
        rig.descriptor(
          ring + UInt32(next() % 8) * 16, owner, value, UInt32(truncatingIfNeeded: next()) & (far ? .max : 0x7_FFFF),
          UInt32(truncatingIfNeeded: next()) & (far ? .max : 0x3FFF))
      case 5: _ = rig.send(calls: 20)
      case 6: _ = rig.receive(EthernetRig.frame(count: 14 + Int(next() % 1510)))
      default:
        rig.csr(0, UInt32(next() % 8 == 0 ? 1 : 0))
        rig.csr(3, 0x2000)
        rig.csr(4, 0x1000)
        rig.csr(6, 0x0206_2002)
      }
      rig.memory.stored = []
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing

@testable import LegacyDevices

/// The DEC 21140 under the hands of a driver that does what stock Linux does, with descriptors and registers as literals.
@Suite struct EthernetTests {
  private let owned: UInt32 = 0x8000_0000

  // MARK: ROM and link

  @Test func theROMIsReadBitByBit() {
    var rig = EthernetRig(started: false)
    // Drivers find the count of address bits by the zero before the data: bit 18 of all that came with eight of them.
    #expect(rig.readROM(0xFF, addressBits: 8) & 0x40000 == 0)
    let words = (0..<64).map { UInt16(truncatingIfNeeded: rig.readROM($0, addressBits: 6)) }
    let bytes = words.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    // Bits before the word: nobody drives the wire, then the zero.
    #expect(rig.readROM(0, addressBits: 6) >> 16 & 1 == 0)
    #expect(Array(bytes[..<8]) != Array(bytes[16..<24]), "taken for a ROM of the old kind")
    #expect(Array(bytes[18..<30]) == [3, 1, 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03, 0, 30, 0, 0])
    let leaf = Int(bytes[27])
    #expect(
      Array(bytes[leaf..<leaf + 20]) == [
        0x00, 0x08, 0x1F, 4,  // sensed by the driver, pins, four plugs
        0, 0, 0x9E, 0, 3, 0, 0x6D, 0, 4, 0, 0x9E, 0, 5, 0, 0x6D, 0,
      ])
    #expect(bytes[126] != 0 || bytes[127] != 0)
  }

  @Test func theROMIsNotWritten() {
    var port = SerialROMPort([0x1234] + [UInt16](repeating: 0, count: 63))
    // Start, write (01), address 0, data: then the word is read as before.
    for bits in [[1, 0, 1] + Array(repeating: 0, count: 6) + Array(repeating: 1, count: 16)] {
      port.set(select: true, clock: false, data: false)
      for bit in bits {
        port.set(select: true, clock: false, data: bit == 1)
        port.set(select: true, clock: true, data: bit == 1)
      }
      port.set(select: false, clock: false, data: false)
    }
    port.set(select: true, clock: false, data: false)
    for bit in [1, 1, 0, 0, 0, 0, 0, 0, 0] {
      port.set(select: true, clock: false, data: bit == 1)
      port.set(select: true, clock: true, data: bit == 1)
    }
    #expect(!port.output)
    var word: UInt16 = 0
    for _ in 0..<16 {
      port.set(select: true, clock: false, data: false)
      port.set(select: true, clock: true, data: false)
      word = word << 1 | (port.output ? 1 : 0)
    }
    #expect(word == 0x1234)
  }

  @Test func pinsTellOfTheLink() {
    var rig = EthernetRig()
    rig.csr(12, 0x11F)
    rig.csr(12, 0x05)
    #expect(rig.csr(12) == 0xFFFF_FE85)
    rig.controller.isLinkUp = true
    #expect(rig.csr(12) == 0xFFFF_FEC5)
    // There is no MII: the wire is high.
    rig.csr(9, 0x40000)
    #expect(rig.csr(9) & 1 << 19 != 0)
  }

  // MARK: Sending

  @Test func aRingOfFrames() {
    var rig = EthernetRig()
    let one = EthernetRig.frame(count: 100)
    let two = EthernetRig.frame(count: 1514, fill: 0x11)
    rig.put(one, at: 0x1_0000)
    rig.put(Array(two[..<700]), at: 0x1_1000)
    rig.put(Array(two[700..<1400]), at: 0x1_2001)
    rig.put(Array(two[1400...]), at: 0x1_3003)
    rig.descriptor(0x1000, owned, 0x6000_0000 | 100, 0x1_0000)
    // Two buffers, then one; the last descriptor ends the ring and asks for an interrupt.
    rig.descriptor(0x1010, owned, 0x2000_0000 | 700 << 11 | 700, 0x1_1000, 0x1_2001)
    rig.descriptor(0x1020, owned, 0xC200_0000 | 114, 0x1_3003)
    rig.demand()
    #expect(rig.controller.hasWork)
    guard case .frame(isLooped: false) = rig.controller.transmit(memory: rig.memory) else {
      Issue.record("no frame")
      return
    }
    #expect(Array(rig.controller.sentFrame) == one)
    #expect(rig.memory.load(0x1000) == 0 && rig.memory.load(0x1010) == owned)
    #expect(rig.csr(5) & 1 == 0)
    #expect(rig.send() == [two])
    #expect(rig.memory.stored == [0x1000, 0x1010, 0x1020])
    // Sent, nothing more to send: suspended; both are in the normal summary.
    #expect(rig.csr(5) == 0x0067_0005)
    #expect(rig.controller.interrupt && !rig.controller.hasWork)
    rig.csr(5, 0x0001_0005)
    #expect(!rig.controller.interrupt)
    // The ring begins anew.
    rig.descriptor(0x1000, owned, 0x6000_0000 | 100, 0x1_0000)
    rig.demand()
    #expect(rig.send() == [one])
  }

  @Test func chainsAndSkippedWords() {
    var rig = EthernetRig()
    let frame = EthernetRig.frame(count: 64)
    rig.put(frame, at: 0x1_0000)
    // A chain: the second address is the next descriptor's, whatever the second count says.
    rig.descriptor(0x1000, owned, 0x2100_0000 | 0x7FF << 11 | 40, 0x1_0000, 0x3000)
    rig.descriptor(0x3000, owned, 0x4100_0000 | 24, 0x1_0028, 0x1002)
    rig.demand()
    #expect(rig.send() == [frame])
    // Words between descriptors: two of them (CSR0, bits 2–6).
    rig.csr(0, 0x01A0_8008)
    rig.csr(4, 0x4000)
    rig.descriptor(0x4000, owned, 0x6000_0000 | 64, 0x1_0000)
    rig.descriptor(0x4018, owned, 0x6000_0000 | 64, 0x1_0000)
    rig.demand()
    #expect(rig.send() == [frame, frame])
  }

  @Test func shortFramesGoAsTheyAre() {
    var rig = EthernetRig()
    let frame = EthernetRig.frame(count: 20)
    rig.put(frame, at: 0x1_0000)
    rig.put([UInt8](repeating: 0xEE, count: 64), at: 0x1_0014)
    rig.descriptor(0x1000, owned, 0x6000_0000 | 20, 0x1_0000)
    rig.descriptor(0x1010, owned, 0x6080_0000 | 20, 0x1_0000)
    // With a checksum of its own.
    rig.descriptor(0x1020, owned, 0x6480_0000 | 24, 0x1_0000)
    // Not even two addresses.
    rig.descriptor(0x1030, owned, 0x6000_0000 | 13, 0x1_0000)
    rig.demand()
    #expect(rig.send() == [frame, frame, frame])
    #expect(rig.memory.load(0x1030) == 0)
  }

  @Test func aFrameThatGoesOnLater() {
    var rig = EthernetRig()
    let frame = EthernetRig.frame(count: 80)
    rig.put(frame, at: 0x1_0000)
    rig.descriptor(0x1000, owned, 0x2000_0000 | 30, 0x1_0000)
    rig.descriptor(0x1010, 0, 0x4000_0000 | 50, 0x1_001E)
    rig.demand()
    #expect(rig.send() == [] && rig.csr(5) & 4 != 0)
    rig.descriptor(0x1010, owned, 0x4000_0000 | 50, 0x1_001E)
    rig.demand()
    #expect(rig.send() == [frame])
  }

  @Test func loopback() {
    var rig = EthernetRig()
    rig.put(EthernetRig.frame(), at: 0x1_0000)
    rig.csr(6, 0x0206_2402)
    rig.descriptor(0x1000, owned, 0x6000_0000 | 60, 0x1_0000)
    rig.demand()
    #expect(rig.controller.transmit(memory: rig.memory) == .frame(isLooped: true))
  }

  // MARK: Filters

  private let group = EthernetAddress(rawValue: 0x0100_5E00_0001)
  private let other = EthernetAddress(rawValue: 0x0200_0000_0099)

  private func accepts(_ rig: inout EthernetRig, _ address: EthernetAddress) -> Bool {
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 1536, 0x2_0000)
    return rig.receive(EthernetRig.frame(to: address)) == .received
  }

  @Test func sixteenAddresses() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address, group])
    // The rest of the word after a setup frame are ones.
    #expect(rig.memory.load(0x1000) == 0x7FFF_FFFF)
    for (address, wanted) in [
      (EthernetRig.address, true), (group, true), (EthernetAddress(rawValue: .max), true), (other, false),
    ] {
      #expect(accepts(&rig, address) == wanted, "\(address)")
    }
    rig.setFilter([EthernetRig.address], flags: 0x1000_0000)
    #expect(rig.csr(6) & 0x15 == 0x10)
    #expect(!accepts(&rig, EthernetRig.address) && accepts(&rig, other))
  }

  @Test func aTableOfHashes() {
    // Linux sets bit 255 for the broadcast address.
    #expect(AddressFilter.hash(EthernetAddress(rawValue: .max)) == 255)
    var setup = [UInt8](repeating: 0, count: 192)
    for address in [group, EthernetAddress(rawValue: .max)] {
      let bit = Int(AddressFilter.hash(address))
      setup[(bit >> 4) * 4 + (bit & 15) / 8] |= 1 << UInt8(bit & 7)
    }
    for (index, byte) in [UInt8(0x00), 0x15, 0, 0, 0x5D, 0x01, 0, 0, 0x02, 0x03].enumerated() {
      setup[156 + index] = byte
    }
    var rig = EthernetRig()
    rig.setFilter(setup, flags: 0x0040_0000)
    #expect(rig.csr(6) & 0x15 == 0x01)
    #expect(
      accepts(&rig, EthernetRig.address) && accepts(&rig, group) && accepts(&rig, EthernetAddress(rawValue: .max)))
    #expect(!accepts(&rig, other) && !accepts(&rig, EthernetAddress(rawValue: 0x0100_5E00_0002)))
    // Both bits: a table for every address.
    rig.setFilter(setup, flags: 0x1040_0000)
    #expect(rig.csr(6) & 0x15 == 0x05)
    #expect(accepts(&rig, group) && !accepts(&rig, EthernetRig.address))
  }

  @Test func modesThatLetMorePass() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    let stranger = EthernetAddress(rawValue: 0x0100_5E7F_0001)
    #expect(!accepts(&rig, stranger))
    rig.csr(6, 0x0206_2082)
    #expect(accepts(&rig, stranger) && !accepts(&rig, other))
    rig.csr(6, 0x0206_2042)
    #expect(accepts(&rig, other))
    // It did not pass the filter, and says so.
    #expect(rig.memory.load(0x2000).map { $0 >> 30 & 1 } == 1)
  }

  @Test func theDummyBeforeASetupFrame() {
    var rig = EthernetRig()
    rig.put([UInt8](repeating: 0xFF, count: 192), at: 0x8000)
    rig.descriptor(0x1000, owned, 0, 0)
    rig.descriptor(0x1010, owned, 0x8A00_0000 | 192, 0x8000)
    rig.demand()
    #expect(rig.send() == [])
    #expect(rig.memory.load(0x1000) == 0 && rig.csr(5) & 1 == 1)
  }

  // MARK: Receiving

  @Test func framesOfAllSizes() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    for (count, type, word) in [
      (60, 0x0800, 0x0040_0320), (14, 0x0800, 0x0040_0320), (1514, 0x86DD, 0x05EE_0320), (1518, 0x8100, 0x05F2_03A0),
      (64, 0x0026, 0x0044_0300),
    ] as [(Int, UInt16, UInt32)] {
      rig.csr(3, 0x2000)
      rig.put([UInt8](repeating: 0xEE, count: 1600), at: 0x2_0000)
      rig.descriptor(0x2000, owned, 0x0200_0000 | 1536, 0x2_0000)
      let frame = EthernetRig.frame(count: count, type: type)
      #expect(rig.receive(frame) == .received)
      #expect(rig.memory.load(0x2000) == word, "\(count)")
      let length = max(count, 60)
      // Padded with zeros, with a checksum of zeros.
      #expect(rig.bytes(0x2_0000, length + 4) == frame + [UInt8](repeating: 0, count: length + 4 - count))
      #expect(rig.bytes(0x2_0000 + UInt32(length) + 4, 4) == [0xEE, 0xEE, 0xEE, 0xEE])
    }
    #expect(rig.csr(5) & 0x1_0040 == 0x1_0040 && rig.controller.interrupt)
    #expect(rig.receive(EthernetRig.frame(count: 1519)) == .unwanted)
    #expect(rig.receive([1, 2, 3]) == .unwanted)
  }

  @Test func aFrameOverSeveralDescriptors() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    rig.csr(3, 0x2000)
    let frame = EthernetRig.frame(count: 300)
    // The lowest bits of counts do not count.
    rig.descriptor(0x2000, owned, 64 << 11 | 67, 0x2_0000, 0x2_1000)
    rig.descriptor(0x2010, owned, 0, 0)
    rig.descriptor(0x2020, owned, 0x0200_0000 | 256, 0x2_2000)
    #expect(rig.receive(frame) == .received)
    #expect(rig.bytes(0x2_0000, 64) + rig.bytes(0x2_1000, 64) + rig.bytes(0x2_2000, 172) == frame)
    #expect([0x2000, 0x2010, 0x2020].map { rig.memory.load($0) } == [0x200, 0, 0x0130_0120])
    // The first one goes back first.
    #expect(rig.memory.stored == [0x2000, 0x2010, 0x2020])
  }

  @Test func withoutRoomFramesAreLostAndCounted() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 0x0200_0000 | 64, 0x2_0000)
    // Not enough for this one: nothing is touched.
    #expect(rig.receive(EthernetRig.frame(count: 61)) == .noRoom)
    #expect(rig.memory.load(0x2000) == owned && rig.bytes(0x2_0000, 4) == [0, 0, 0, 0])
    #expect(rig.csr(5) & 0x000E_8080 == 0x0008_8080 && rig.controller.interrupt)
    // It looks again with the next frame, and needs no demand.
    #expect(rig.receive(EthernetRig.frame(count: 60)) == .received)
    #expect(rig.receive(EthernetRig.frame(count: 60)) == .noRoom)
    #expect(rig.csr(8) == 2 && rig.csr(8) == 0)
    // Whoever keeps the frame has not missed it.
    #expect(rig.controller.receive(EthernetRig.frame(), memory: rig.memory, keeps: true) == .noRoom && rig.csr(8) == 0)
    #expect(!rig.controller.hasRoom(for: 60, memory: rig.memory))
    rig.descriptor(0x2000, owned, 0x0200_0000 | 64, 0x2_0000)
    #expect(rig.controller.hasRoom(for: 60, memory: rig.memory) && !rig.controller.hasRoom(for: 61, memory: rig.memory))
    rig.csr(2, 0)
    #expect(rig.csr(5) & 0x000E_0000 == 0x0006_0000)
    #expect(rig.receive(EthernetRig.frame(count: 60)) == .received)
  }

  @Test func stoppedItTakesAndSendsNothing() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    rig.csr(3, 0x2000)
    rig.descriptor(0x2000, owned, 1536, 0x2_0000)
    rig.descriptor(0x1000, owned, 0x6000_0000 | 60, 0x1_0000)
    rig.csr(4, 0x1000)
    rig.csr(6, 0x0206_0000)
    // Linux waits for both processes to stand still.
    #expect(rig.csr(5) & 0x007E_0000 == 0)
    rig.demand()
    #expect(rig.receive(EthernetRig.frame()) == .notReady && rig.send() == [] && !rig.controller.hasWork)
    rig.csr(6, 0x0206_2002)
    #expect(rig.receive(EthernetRig.frame()) == .received && rig.send().count == 1)
    // Nor without bus mastering; what was asked for is done when it comes back.
    rig.controller.mayMasterBus = false
    rig.descriptor(0x1010, owned, 0x6000_0000 | 60, 0x1_0000)
    rig.demand()
    #expect(!rig.controller.hasWork && rig.send() == [] && rig.receive(EthernetRig.frame()) == .notReady)
    rig.controller.mayMasterBus = true
    #expect(rig.send().count == 1)
  }

  // MARK: Registers

  @Test func interruptsAreEnabledOneByOne() {
    var rig = EthernetRig()
    rig.csr(7, 0)
    rig.demand()
    _ = rig.send()
    // The summary is of what is enabled.
    #expect(rig.csr(5) & 0x1_FFFF == 4 && !rig.controller.interrupt)
    rig.csr(7, 4)
    #expect(rig.csr(5) & 0x1_FFFF == 0x1_0004 && !rig.controller.interrupt)
    rig.csr(7, 0x1_0004)
    #expect(rig.controller.interrupt)
    rig.csr(5, 0x1_0000)
    #expect(rig.controller.interrupt, "the cause is still there")
    rig.csr(5, 4)
    #expect(!rig.controller.interrupt)
  }

  @Test func theTimer() {
    var rig = EthernetRig()
    let number = rig.controller.timerNumber
    rig.csr(11, 0x12)
    #expect(rig.controller.timerNumber != number && rig.controller.timerPeriod == 18 * 81_920)
    rig.controller.timerEnded()
    #expect(rig.csr(5) & 0x1_0800 == 0x1_0800 && rig.controller.timerPeriod == nil)
    rig.csr(5, 0x800)
    rig.csr(11, 0x1_0001)
    rig.controller.timerEnded()
    #expect(rig.controller.timerPeriod == 81_920)
    rig.csr(6, 0x0246_2002)
    #expect(rig.controller.timerPeriod == 819_200)
    rig.csr(6, 0x0200_2002)
    #expect(rig.controller.timerPeriod == 204_800)
    rig.csr(11, 0)
    #expect(rig.controller.timerPeriod == nil)
    rig.csr(5, 0x800)
    rig.controller.timerEnded()
    #expect(rig.csr(5) & 0x800 == 0)
  }

  @Test func accessesOfOtherSizes() {
    var rig = EthernetRig()
    rig.csr(3, 0x1234_5678)
    #expect(
      rig.controller.read(0x18, size: 2) & 0xFFFF == 0x5678 && rig.controller.read(0x1A, size: 2) & 0xFFFF == 0x1234)
    #expect(rig.controller.read(0x1C, size: 4) == 0 && rig.controller.read(128, size: 4) == 0)
    rig.controller.write(0x18, size: 2, 0xFFFF)
    rig.controller.write(0x1A, size: 4, 0xFFFF)
    #expect(rig.csr(3) == 0x1234_5678)
  }

  @Test func aSoftwareResetIsAFreshController() {
    var rig = EthernetRig()
    rig.setFilter([EthernetRig.address])
    rig.controller.isLinkUp = true
    rig.csr(0, 1)
    #expect(rig.csr(5) == 0 && rig.csr(6) == 0 && rig.csr(7) == 0 && rig.csr(12) & 0x40 != 0)
    #expect(rig.receive(EthernetRig.frame()) == .notReady && !rig.controller.interrupt)
  }

  // MARK: PCI

  @Test func theFunctionOnTheBus() {
    let slot = PCIAddress(device: 10)
    var board = LegacyBoard(drives: [:], functions: [slot: .ethernet(ports: 0xEC00, interrupt: 11)])
    func access(_ register: UInt32, _ value: UInt32?) -> (UInt32, [IDEEffect]) {
      var effects: [IDEEffect] = []
      func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32($0 * 8)) } }
      board.write(0xCF8, size: 4, from: unsafe bytes(0x8000_5000 | register).span.bytes, &effects)
      if let value {
        board.write(0xCFC, size: 4, from: unsafe bytes(value).span.bytes, &effects)
        return (0, effects)
      }
      var result = [UInt8](repeating: 0, count: 4)
      unsafe result.withUnsafeMutableBytes { buffer in
        var span = unsafe MutableRawSpan(_unsafeBytes: buffer)
        board.read(0xCFC, size: 4, into: &span, &effects)
      }
      return (result.reversed().reduce(0) { $0 << 8 | UInt32($1) }, effects)
    }
    #expect(access(0, nil).0 == 0x0009_1011 && access(8, nil).0 == 0x0200_0020 && access(0x3C, nil).0 == 0x2814_010B)
    #expect(access(0x10, nil).0 == 0xEC01)
    // Its size: 128 ports.
    _ = access(0x10, .max)
    #expect(access(0x10, nil).0 == 0x0000_FF81)
    let moved = access(0x10, 0xD001).1
    guard case .configured(slot, let space)? = moved.last else {
      Issue.record("nobody was told")
      return
    }
    #expect(space.ports(bar: 0) == 0xD000 && !space.mayMasterBus)
    guard case .configured(_, let on)? = access(4, 0x0005).1.last else { return }
    #expect(on.mayMasterBus)
    guard case .configured(_, let off)? = access(4, 0).1.last else { return }
    #expect(off.ports(bar: 0) == nil)
    board.reset()
    #expect(access(0x10, nil).0 == 0xEC01)
  }
}

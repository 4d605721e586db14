// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import Testing
import VirtualDisks

/// What stock Linux does to find and use the drives.
@Suite struct LinuxDriverTests {
  @Test func configurationSpaceIsPIIX4s() {
    var rig = Rig()
    rig.out32(0xCF8, 0x8000_0000)
    #expect(rig.in32(0xCFC) == 0x7192_8086)
    rig.out32(0xCF8, 0x8000_3800)
    #expect(rig.in32(0xCFC) == 0x7110_8086)
    rig.out32(0xCF8, 0x8000_380C)
    #expect(rig.in32(0xCFC) & 0x0080_0000 != 0)  // more functions
    #expect(rig.configuration(0x00) == 0x7111_8086)
    #expect(rig.configuration(0x08) >> 8 == 0x01_0180)
    #expect(rig.configuration(0x40) & 0x8000_8000 == 0x8000_8000)  // both channels are on
    for empty: UInt32 in [0x8000_0800, 0x8000_3A00, 0x8001_0000] {
      rig.out32(0xCF8, empty)
      #expect(rig.in32(0xCFC) == .max)
    }
    #expect(Rig([.primaryMaster: Rig.disk()]).board.batchablePorts.count == 6)
  }

  /// Sizing, as every enumeration does it, leaves the register where it was.
  @Test func baseAddressRegisterCanBeSizedAndMoved() {
    var rig = Rig()
    let before = rig.configuration(0x20)
    #expect(before == 0xFFA1)
    rig.configuration(0x20, .max)
    #expect(rig.configuration(0x20) == 0xFFF1)
    rig.configuration(0x20, 0xC001)
    #expect(rig.board.busMasterPorts == 0xC000)
    #expect(rig.busMasterMoves.last == 0xC000)
    rig.out32(0xC004, 0x1234_5678)
    #expect(rig.in32(0xC004) == 0x1234_5678)
    #expect(rig.in32(0xFFA4) == .max)
    rig.configuration(0x04, 0)
    #expect(rig.board.busMasterPorts == nil)
    #expect(rig.in8(0x1F7) == 0xFF)
  }

  /// ata_devchk, software reset, ata_sff_dev_classify.
  @Test func drivesAreFoundByTheirSignatures() {
    var rig = Rig()
    for (channel, unit, present) in [(0, 0, true), (0, 1, false), (1, 0, true), (1, 1, false)] {
      let base = Rig.commands[channel]
      rig.out(base + 6, 0xA0 | UInt8(unit) << 4)
      for (count, low) in [(0x55, 0xAA), (0xAA, 0x55), (0x55, 0xAA)] as [(UInt8, UInt8)] {
        rig.out(base + 2, count)
        rig.out(base + 3, low)
      }
      #expect((rig.in8(base + 2) == 0x55 && rig.in8(base + 3) == 0xAA) == present)
    }
    rig.softReset(0)
    rig.softReset(1)
    #expect((2...5).map { rig.in8(0x1F0 + $0) } == [1, 1, 0, 0])
    #expect(rig.in8(0x1F7) == 0x50 && rig.in8(0x1F1) == 1)
    #expect((2...5).map { rig.in8(0x170 + $0) } == [1, 1, 0x14, 0xEB])
    #expect(rig.in8(0x177) == 0)
    #expect(rig.rises == [0, 0])
  }

  @Test func identifyTellsSizeModesAndName() {
    var rig = Rig()
    let words = rig.identify()
    #expect(words.count == 256)
    #expect(rig.rises[0] == 1)
    func text(_ range: Range<Int>) -> String {
      String(decoding: words[range].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }, as: UTF8.self)
    }
    #expect(text(27..<47).hasPrefix("Virtual HD "))
    #expect(text(10..<20).hasPrefix("0123456789"))
    #expect(words[60] == 2048 && words[61] == 0 && words[100] == 2048)
    #expect(words[49] & 0x0300 == 0x0300 && words[83] & 1 << 10 != 0 && words[88] & 0x3F == 0x3F)
    #expect(words[106] == 0x6003)  // 8 logical sectors make a physical one
    #expect(words[169] == 1)
    var sum: UInt8 = 0
    for word in words { sum = sum &+ UInt8(word & 0xFF) &+ UInt8(word >> 8) }
    #expect(sum == 0)
    // A command that a packet device refuses, with its signature.
    rig.select(0, channel: 1)
    rig.command(0xEC, channel: 1)
    #expect(rig.in8(0x177) & 0x89 == 0x01)
    #expect(rig.in8(0x174) == 0x14 && rig.in8(0x175) == 0xEB)
    let packet = rig.identify(0xA1, channel: 1)
    #expect(packet.first == 0x85C0)
  }

  @Test func transferModesAreRemembered() {
    var rig = Rig()
    for mode: UInt8 in [0x0C, 0x22, 0x42] {
      rig.select(0)
      rig.load(count: UInt32(mode), features: 0x03)
      rig.command(0xEF)
      #expect(rig.in8(0x1F7) == 0x50)
    }
    #expect(rig.identify()[88] == 0x043F)
    rig.load(count: 0x47, features: 0x03)
    rig.command(0xEF)
    #expect(rig.in8(0x1F7) & 1 == 1 && rig.in8(0x1F1) == 4)
  }

  /// One command with 28 bits of address costs 26 accesses, of which the kernel can collect the 9 that have no effect.
  @Test func directTransferIsWholeAndCheap() {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 4096)])
    rig.accesses = 0
    rig.batchedAccesses = 0
    let (master, status) = rig.dma(0xC8, write: false, sector: 5, count: 8)
    #expect(master == 4 && status == 0x50)
    #expect(rig.accesses == 26)
    #expect(rig.batchedAccesses == 9)
    #expect(rig.rises[0] == 1 && !rig.lines[0])
    #expect(Array(rig.memory[0x10_0000..<0x10_1000]) == rig.sector(5, count: 8))
  }

  @Test(arguments: [(0xCA, false, false), (0x35, true, false), (0x3D, true, true)] as [(UInt8, Bool, Bool)])
  func directWrites(code: UInt8, extended: Bool, forced: Bool) {
    var rig = Rig()
    rig.isImmediate = false
    // Scattered, one region across a 64 KiB boundary.
    rig.putTable([(0x1_FFF00, 0x200), (0x28_0000, 0x600)])
    for index in 0..<0x200 { rig.memory[0x1_FFF00 + index] = 0xC1 }
    for index in 0..<0x600 { rig.memory[0x28_0000 + index] = 0xC2 }
    let (master, status) = rig.dma(code, write: true, sector: 100, count: 4, extended: extended)
    #expect(master == 4 && status == 0x50)
    #expect(rig.sector(100) == [UInt8](repeating: 0xC1, count: 512))
    #expect(rig.sector(101, count: 3) == [UInt8](repeating: 0xC2, count: 1536))
    guard case .direct(let request, _) = rig.performed.last else { return #expect(Bool(false)) }
    #expect(request.operation == .write(forceUnitAccess: forced))
  }

  @Test func blocksByPIO() {
    var rig = Rig()
    // READ SECTORS: an interrupt a sector.
    rig.select(0)
    rig.load(sector: 3, count: 2)
    rig.command(0x20)
    var data: [UInt8] = []
    for _ in 0..<2 {
      #expect(rig.in8(0x1F7) == 0x58)
      data += rig.input(0x1F0, size: 4, count: 128)
    }
    #expect(rig.in8(0x1F7) == 0x50)
    #expect(data == rig.sector(3, count: 2))
    #expect(rig.rises[0] == 2)
    // READ MULTIPLE EXT of 20 sectors: 16 and 4.
    rig.load(sector: 10, count: 20, extended: true)
    rig.command(0x29)
    #expect(rig.in8(0x1F7) == 0x58)
    data = rig.input(0x1F0, size: 2, count: 16 * 256)
    #expect(rig.in8(0x1F7) == 0x58)
    data += rig.input(0x1F0, size: 2, count: 4 * 256)
    #expect(data == rig.sector(10, count: 20))
    #expect(rig.in8(0x1F7) == 0x50)
    #expect(rig.rises[0] == 4)
    // WRITE SECTORS: the first block is asked for without an interrupt.
    rig.load(sector: 30, count: 2)
    rig.command(0x30)
    #expect(rig.rises[0] == 4)
    for value: UInt8 in [1, 2] {
      #expect(rig.in8(0x1F7) == 0x58)
      rig.output(0x1F0, [UInt8](repeating: value, count: 512), size: 2)
    }
    #expect(rig.in8(0x1F7) == 0x50)
    #expect(rig.rises[0] == 6)
    #expect(rig.sector(30) == [UInt8](repeating: 1, count: 512))
    #expect(rig.sector(31) == [UInt8](repeating: 2, count: 512))
  }

  @Test func interruptsCanBeSwitchedOff() {
    var rig = Rig()
    rig.out(0x3F6, 0x0A)
    _ = rig.identify()
    #expect(rig.rises[0] == 0)
    rig.load(count: 8, features: 0xAA)
    rig.command(0xEF)
    #expect(rig.rises[0] == 0)
    // What is pending comes when they are on again.
    rig.out(0x3F6, 0x08)
    #expect(rig.rises[0] == 1)
    _ = rig.in8(0x1F7)
    #expect(!rig.lines[0])
  }

  @Test func trimDiscardsEachRange() {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 512)])
    let ranges: [(UInt64, UInt64)] = [(16, 8), (24, 8), (100, 1)]
    for (index, range) in ranges.enumerated() {
      let entry = range.0 | range.1 << 48
      for byte in 0..<8 {
        rig.memory[0x10_0000 + index * 8 + byte] = UInt8(truncatingIfNeeded: entry >> UInt64(byte * 8))
      }
    }
    let (master, status) = rig.dma(0x06, write: true, sector: 0, count: 1, extended: true, features: 1)
    #expect(master == 4 && status == 0x50)
    #expect(
      rig.performed.dropFirst() == [
        .drive(DriveRequest(.discard, byteOffset: 16 * 512, byteCount: 16 * 512)),
        .drive(DriveRequest(.discard, byteOffset: 100 * 512, byteCount: 512)),
      ])
    #expect(rig.rises[0] == 1)
  }

  @Test func discByPacketsPIO() {
    var rig = Rig()
    let inquiry = rig.packet([0x12, 0, 0, 0, 36, 0])
    #expect(inquiry.status == 0x50)
    #expect(inquiry.data.count == 36 && inquiry.data[0] == 5)
    // A unit attention may come first; then the disc is ready.
    for _ in 0..<3 where rig.packet([0]).status & 1 != 0 { _ = rig.packet([3, 0, 0, 0, 18]) }
    #expect(rig.packet([0]).status == 0x50)
    let capacity = rig.packet([0x25])
    #expect(capacity.data == [0, 0, 0x01, 0xFF, 0, 0, 8, 0])
    // 20 blocks in pieces of 4 KiB.
    let read = rig.packet([0x28, 0, 0, 0, 0, 3, 0, 0, 20], limit: 4096)
    #expect(read.status == 0x50)
    #expect(read.data == rig.sector(12, .secondaryMaster, count: 80))
    // Out of range: CHECK CONDITION, then the sense data say why.
    let wrong = rig.packet([0x28, 0, 0, 0, 2, 0, 0, 0, 1])
    #expect(wrong.status & 1 == 1 && wrong.error >> 4 == 5)
    let sense = rig.packet([3, 0, 0, 0, 18])
    #expect(sense.data.count == 18 && sense.data[2] == 5 && sense.data[12] == 0x21)
  }

  @Test func discByPacketsDMA() {
    var rig = Rig()
    for _ in 0..<3 where rig.packet([0]).status & 1 != 0 { _ = rig.packet([3, 0, 0, 0, 18]) }
    rig.putTable([(Rig.buffer, 8192)])
    rig.select(0, channel: 1)
    rig.out(0x171, 1)
    rig.out32(rig.busMaster(1) + 4, Rig.table)
    rig.out(rig.busMaster(1), 8)
    rig.command(0xA0, channel: 1)
    rig.output(0x170, [0x28, 0, 0, 0, 0, 7, 0, 0, 4, 0, 0, 0], size: 2)
    #expect(rig.in8(0x376) & 0x80 != 0)
    rig.out(rig.busMaster(1), 9)
    let (master, status) = rig.interruptHandler(1)
    #expect(master == 4 && status == 0x50)
    #expect(rig.in8(0x172) & 3 == 3)
    #expect(Array(rig.memory[0x10_0000..<0x10_2000]) == rig.sector(28, .secondaryMaster, count: 16))
  }

  @Test func ejectLetsGoOfTheDisc() {
    var rig = Rig()
    for _ in 0..<3 where rig.packet([0]).status & 1 != 0 { _ = rig.packet([3, 0, 0, 0, 18]) }
    #expect(rig.packet([0x1B, 0, 0, 0, 2]).status == 0x50)
    #expect(rig.ejected == [.secondaryMaster])
    let ready = rig.packet([0])
    #expect(ready.error >> 4 == 2)
    rig.board.insertDisc(.secondaryMaster, byteCount: 4 << 20)
    #expect(rig.packet([0]).error >> 4 == 6)  // the medium may have changed
    #expect(rig.packet([3, 0, 0, 0, 18]).data[12] == 0x28)
    #expect(rig.packet([0x25]).data == [0, 0, 0x07, 0xFF, 0, 0, 8, 0])
  }
}

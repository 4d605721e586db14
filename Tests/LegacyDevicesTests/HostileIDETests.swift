// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import Testing
import VirtualDisks

/// What a guest that means no good, or is merely broken, does to the controller. After each case a disk read and an
/// inquiry work.
@Suite struct HostileIDETests {
  private func expectAlive(_ rig: inout Rig, _ comment: Comment? = nil) {
    rig.isImmediate = true
    rig.run()
    if rig.board.busMasterPorts == nil || rig.in8(0x1F7) == 0xFF { rig.board.reset() }
    rig.configuration(0x04, 0x5)
    for channel in 0...1 {
      rig.out(rig.busMaster(channel), 0)
      rig.out(rig.busMaster(channel) + 2, 6)
      rig.softReset(channel)
    }
    rig.putTable([(Rig.buffer, 1024)])
    let (master, status) = rig.dma(0xC8, write: false, sector: 8, count: 2)
    #expect(master & 7 == 4 && status == 0x50, comment)
    #expect(Array(rig.memory[0x10_0000..<0x10_0400]) == rig.sector(8, count: 2), comment)
    #expect(rig.packet([0x12, 0, 0, 0, 36]).data.count == 36, comment)
  }

  private func read(_ rig: inout Rig, count: UInt32 = 8) -> (master: UInt8, status: UInt8) {
    rig.dma(0xC8, write: false, sector: 0, count: count)
  }

  @Test("IDE: PRDT entry of zero length means 64 KiB") func zeroLength() throws {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 0)])
    #expect(read(&rig, count: 128).master == 4)
    #expect(Array(rig.memory[0x10_0000..<0x11_0000]) == rig.sector(0, count: 128))
    // More than needed: the engine goes on waiting for data, as its status says.
    #expect(read(&rig, count: 8).master == 5)
    expectAlive(&rig)
  }

  @Test("IDE: PRDT shorter than the transfer") func tableTooShort() {
    var rig = Rig()
    rig.memory[0x10_0000] = 0x77
    rig.putTable([(Rig.buffer, 512)])
    let end = read(&rig)
    // No interrupt, not active, no error bit: the driver runs into its time limit.
    #expect(end.master & 7 == 0)
    #expect(rig.rises[0] == 0 && rig.memory[0x10_0000] == 0x77)
    expectAlive(&rig)
  }

  @Test("IDE: PRDT unterminated") func unterminated() {
    var rig = Rig()
    // Nothing but entries of two bytes, all the way to the 64 KiB boundary and beyond.
    let entries = [(address: UInt32, count: UInt16)](repeating: (Rig.buffer, 2), count: 16384)
    rig.putTable(entries, terminated: false)
    #expect(read(&rig, count: 256).master & 7 == 0)
    #expect(rig.rises[0] == 0)
    // Enough bytes in it: the rest of the table is of no interest.
    #expect(read(&rig, count: 16).master & 7 == 5)
    expectAlive(&rig)
  }

  @Test("IDE: PRDT of an endless list of zeros") func zeros() {
    var rig = Rig()
    rig.putTable([(address: UInt32, count: UInt16)](repeating: (0, 0), count: 8192), terminated: false)
    #expect(read(&rig, count: 256).master & 7 == 5)
    expectAlive(&rig)
  }

  static let outside: [[(address: UInt32, count: UInt16)]] = [
    [(0xF800_0000, 4096)], [(0xFFFF_F000, 0)], [(0xFFFF_FFFE, 2), (Rig.buffer, 4096)],
    [(UInt32(Rig.memoryBytes) - 512, 4096)], [(Rig.buffer, 512), (0xFEE0_0000, 4096)],
  ]

  @Test("IDE: PRDT region outside RAM", arguments: outside)
  func outsideMemory(entries: [(address: UInt32, count: UInt16)]) {
    var rig = Rig()
    rig.putTable(entries)
    let end = read(&rig)
    #expect(end.master & 7 == 2)
    #expect(rig.rises[0] == 0)
    expectAlive(&rig)
  }

  @Test("IDE: PRDT itself outside RAM", arguments: [0xF800_0000, 0xFFFF_FFF8, 0xFFFF_0000, UInt32(Rig.memoryBytes)])
  func tableOutsideMemory(address: UInt32) {
    var rig = Rig()
    rig.select(0)
    rig.load(sector: 0, count: 8)
    rig.out32(rig.busMaster(0) + 4, address)
    rig.out(rig.busMaster(0), 8)
    rig.command(0xC8)
    rig.out(rig.busMaster(0), 9)
    #expect(rig.in8(rig.busMaster(0) + 2) & 7 == 2)
    #expect(rig.rises[0] == 0)
    expectAlive(&rig)
  }

  @Test("IDE: PRDT crosses a 64 KiB boundary") func tableCrosses() {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 512), (Rig.buffer, 3584)], at: 0x1_FFF8)
    rig.select(0)
    rig.load(sector: 0, count: 8)
    rig.out32(rig.busMaster(0) + 4, 0x1_FFF8)
    rig.out(rig.busMaster(0), 8)
    rig.command(0xC8)
    rig.out(rig.busMaster(0), 9)
    #expect(rig.in8(rig.busMaster(0) + 2) & 7 == 0)
    expectAlive(&rig)
  }

  @Test("IDE: the table is inside the buffer it describes") func tableInBuffer() {
    var rig = Rig()
    rig.putTable([(Rig.table, 4096)])
    #expect(read(&rig).master == 4)
    #expect(Array(rig.memory[0x1_0000..<0x1_1000]) == rig.sector(0, count: 8))
    expectAlive(&rig)
  }

  @Test("IDE: the bus master's direction is wrong") func wrongDirection() {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 4096)])
    let before = rig.media[.primaryMaster]
    #expect(rig.dma(0xCA, write: false, sector: 0, count: 8).master & 7 == 2)
    #expect(rig.dma(0xC8, write: true, sector: 0, count: 8).master & 7 == 2)
    #expect(rig.performed.isEmpty && rig.media[.primaryMaster] == before)
    expectAlive(&rig)
  }

  @Test("IDE: the bus master is started before, without and twice for a command") func startOrder() {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 4096)])
    rig.out32(rig.busMaster(0) + 4, Rig.table)
    rig.out(rig.busMaster(0), 9)
    rig.out(rig.busMaster(0), 9)
    #expect(rig.performed.isEmpty)
    rig.isImmediate = false
    rig.load(sector: 0, count: 8)
    rig.command(0xC8)
    #expect(rig.waiting.count == 1)
    rig.out(rig.busMaster(0), 0)
    rig.out(rig.busMaster(0), 9)
    #expect(rig.waiting.count == 1)
    rig.run()
    #expect(rig.rises[0] == 1)
    expectAlive(&rig)
  }

  @Test("IDE: PCI's bus mastering is off") func busMasteringOff() {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 4096)])
    rig.configuration(0x04, 0x1)
    #expect(read(&rig).master & 7 == 2)
    #expect(rig.performed.isEmpty)
    expectAlive(&rig)
  }

  @Test("IDE: device switched while busy") func switchedWhileBusy() {
    var rig = Rig([
      .primaryMaster: Rig.disk(), .primarySlave: Rig.disk(2 << 20),
      .secondaryMaster: .dvd(
        byteCount: 1 << 20, identifier: Rig.disk().identifier),
    ])
    rig.isImmediate = false
    rig.select(0)
    rig.load(sector: 40, count: 1)
    rig.command(0x20)
    // Neither another drive nor other parameters nor another command get through.
    rig.out(0x1F6, 0xF0)
    rig.out(0x1F3, 99)
    rig.out(0x1F7, 0xEC)
    #expect(rig.waiting.count == 1)
    rig.run()
    #expect(rig.in8(0x1F6) & 0x10 == 0)
    #expect(rig.input(0x1F0, size: 2, count: 256) == rig.sector(40))
    // Between blocks it may be switched; the data wait for their own drive.
    rig.load(sector: 50, count: 1)
    rig.command(0x20)
    rig.run()
    rig.out(0x1F6, 0xF0)
    #expect(rig.input(0x1F0, size: 2, count: 256) == [UInt8](repeating: 0, count: 512))
    rig.out(0x1F6, 0xE0)
    #expect(rig.input(0x1F0, size: 2, count: 256) == rig.sector(50))
    expectAlive(&rig)
  }

  @Test("IDE: PIO count mismatch") func countMismatch() {
    var rig = Rig()
    rig.select(0)
    // Too much in one run: zeros behind the block, and the next block is not touched.
    rig.load(sector: 3, count: 2)
    rig.command(0x20)
    let bytes = rig.input(0x1F0, size: 2, count: 1000)
    #expect(Array(bytes.prefix(512)) == rig.sector(3))
    #expect(bytes.dropFirst(512).allSatisfy { $0 == 0 })
    #expect(rig.input(0x1F0, size: 2, count: 256) == rig.sector(4))
    // Odd pieces, and a write that is longer than its block.
    rig.load(sector: 60, count: 1)
    rig.command(0x30)
    for _ in 0..<170 { rig.output(0x1F0, [9, 9, 9]) }
    rig.output(0x1F0, [UInt8](repeating: 9, count: 4096), size: 4)
    #expect(rig.in8(0x1F7) == 0x50)
    #expect(rig.sector(60) == [UInt8](repeating: 9, count: 512) && rig.sector(61)[5] != 9)
    // Too little, then another command: ignored until the data are there or a reset comes.
    rig.load(sector: 62, count: 1)
    rig.command(0x30)
    rig.output(0x1F0, [1, 2])
    rig.command(0xEC)
    #expect(rig.in8(0x1F7) == 0x58)
    #expect(rig.sector(62).first != 1)
    // Data that nobody asked for.
    rig.softReset()
    rig.output(0x1F0, [UInt8](repeating: 1, count: 512), size: 2)
    #expect(rig.input(0x1F0, size: 4) == [0, 0, 0, 0])
    expectAlive(&rig)
  }

  @Test("IDE: ATAPI packet short") func packetShort() {
    var rig = Rig()
    rig.select(0, channel: 1)
    rig.command(0xA0, channel: 1)
    rig.output(0x170, [0x12, 0, 0, 0, 36], size: 1)
    #expect(rig.in8(0x177) & 0x88 == 0x08)
    rig.command(0xA1, channel: 1)
    #expect(rig.in8(0x177) & 0x88 == 0x08)
    rig.command(0x08, channel: 1)  // DEVICE RESET
    #expect(rig.in8(0x177) == 0 && rig.in8(0x174) == 0x14)
    expectAlive(&rig)
    // Longer than a packet: the rest is dropped.
    rig.command(0xA0, channel: 1)
    rig.output(0x170, [UInt8](repeating: 0, count: 100), size: 2)
    #expect(rig.in8(0x177) & 0x88 == 0)
    expectAlive(&rig)
  }

  @Test("IDE: ATAPI byte counts of zero and odd ones", arguments: [0, 1, 2, 3, 35, 0xFFFF] as [UInt16])
  func packetByteCount(limit: UInt16) {
    var rig = Rig()
    let inquiry = rig.packet([0x12, 0, 0, 0, 36], limit: limit)
    #expect(inquiry.status == 0x50 && inquiry.data.count == 36)
    expectAlive(&rig)
  }

  @Test("IDE: every packet's first byte, by PIO and DMA") func everyPacket() {
    var rig = Rig()
    for code in UInt8.min...UInt8.max {
      let packet = [code] + [UInt8](repeating: 0xFF, count: 11)
      #expect(rig.packet(packet).status & 0x80 == 0)
      rig.putTable([(Rig.buffer, 64)])
      rig.out(0x171, 1)
      rig.out32(rig.busMaster(1) + 4, Rig.table)
      rig.command(0xA0, channel: 1)
      rig.output(0x170, packet, size: 2)
      rig.out(rig.busMaster(1), 9)
      expectAlive(&rig, "\(code)")
    }
  }

  @Test("IDE: reset while a request is under way") func resetWhileBusy() {
    var rig = Rig()
    rig.isImmediate = false
    rig.putTable([(Rig.buffer, 4096)])
    rig.select(0)
    rig.load(sector: 0, count: 8)
    rig.out32(rig.busMaster(0) + 4, Rig.table)
    rig.out(rig.busMaster(0), 8)
    rig.command(0xC8)
    rig.out(rig.busMaster(0), 9)
    #expect(rig.waiting.count == 1)
    rig.softReset()
    // The drive stays busy for as long as its memory may still be written.
    #expect(rig.in8(0x1F7) & 0x80 != 0)
    rig.command(0xEC)
    #expect(rig.waiting.count == 1)
    let request = rig.waiting[0]
    rig.run()
    #expect(rig.in8(0x1F7) == 0x50 && rig.rises[0] == 0)
    // The same end a second time means nothing.
    rig.finish(request, .done([UInt8](repeating: 1, count: 4096)))
    #expect(rig.in8(0x1F7) == 0x50)
    expectAlive(&rig)
  }

  @Test("IDE: the machine is reset while a request is under way") func boardResetWhileBusy() {
    var rig = Rig()
    rig.isImmediate = false
    rig.select(0)
    rig.load(sector: 0, count: 1)
    rig.command(0x20)
    let request = rig.waiting.removeFirst()
    rig.board.reset()
    rig.select(0)
    rig.load(sector: 5, count: 1)
    rig.command(0x20)
    rig.finish(request, .done([UInt8](repeating: 1, count: 512)))
    #expect(rig.in8(0x1F7) & 0x80 != 0)
    rig.run()
    #expect(rig.input(0x1F0, size: 2, count: 256) == rig.sector(5))
    expectAlive(&rig)
  }

  @Test("IDE: TRIM lists that lie") func trimLists() {
    let entries: [UInt64] = [0xFFFF_FFFF_FFFF | 1 << 48, 2048 | 1 << 48, 2047 | 2 << 48, .max, 1 | 0xFFFF << 48]
    for entry in entries {
      var rig = Rig()
      rig.putTable([(Rig.buffer, 512)])
      for byte in 0..<8 { rig.memory[0x10_0000 + byte] = UInt8(truncatingIfNeeded: entry >> UInt64(byte * 8)) }
      let end = rig.dma(0x06, write: true, sector: 0, count: 1, extended: true, features: 1)
      #expect(end.status == 0x51 && rig.performed.count == 1)
      for count: UInt32 in [0, 9, 0xFFFF] {
        #expect(rig.dma(0x06, write: true, sector: 0, count: count, extended: true, features: 1).master & 4 != 0)
        #expect(rig.performed.count == 1)
      }
      expectAlive(&rig)
    }
  }

  @Test("IDE: a back end that gives too little") func shortAnswer() {
    var rig = Rig()
    rig.isImmediate = false
    rig.select(0)
    rig.load(sector: 0, count: 2)
    rig.command(0x20)
    rig.finish(rig.waiting.removeFirst(), .done([1, 2, 3]))
    #expect(rig.in8(0x1F7) == 0x71)
    expectAlive(&rig)
  }

  @Test("IDE: every port in every width") func everyPort() {
    var rig = Rig()
    let ranges: [ClosedRange<UInt16>] = [
      0x170...0x178, 0x1F0...0x1F8, 0x376...0x376, 0x3F6...0x3F6, 0xFFA0...0xFFB0, 0xCF8...0xCFF, 0xFFFF...0xFFFF,
    ]
    for port in ranges.joined() {
      for size in [1, 2, 4] {
        for value: UInt8 in [0, 0xFF, 0xA5] {
          rig.output(port, [UInt8](repeating: value, count: size * 3), size: size)
          _ = rig.input(port, size: size, count: 3)
        }
      }
    }
    rig.board.reset()
    expectAlive(&rig)
  }
}

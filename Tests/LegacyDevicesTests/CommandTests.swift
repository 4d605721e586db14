// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import Testing
import VirtualDisks

/// Single commands, at their edges.
@Suite struct ATACommandTests {
  /// Status and error after a command without data.
  private func end(
    _ code: UInt8, sector: UInt64 = 0, count: UInt32 = 1, features: UInt8 = 0, extended: Bool = false, _ rig: inout Rig
  ) -> (status: UInt8, error: UInt8) {
    rig.select(0)
    rig.load(sector: sector, count: count, features: features, extended: extended)
    rig.command(code)
    return (rig.in8(0x1F7), rig.in8(0x1F1))
  }

  @Test(arguments: [0xE0, 0xE1, 0xE2, 0xE3, 0xE6, 0x94, 0x95, 0x96, 0x97, 0x99, 0x10, 0x1F, 0xE7, 0xEA] as [UInt8])
  func commandsWithoutData(code: UInt8) {
    var rig = Rig()
    #expect(end(code, &rig) == (0x50, 0))
    #expect(rig.rises[0] == 1)
  }

  @Test func powerModeIsActive() {
    var rig = Rig()
    _ = end(0xE5, &rig)
    #expect(rig.in8(0x1F2) == 0xFF)
  }

  @Test func nativeSize() {
    var rig = Rig([.primaryMaster: Rig.disk(1 << 20)])
    _ = end(0xF8, &rig)
    #expect(rig.in8(0x1F3) == 0xFF && rig.in8(0x1F4) == 0x07 && rig.in8(0x1F5) == 0 && rig.in8(0x1F6) & 0xF == 0)
    // 3 TiB in 512-byte sectors needs 33 bits.
    rig = Rig([.primaryMaster: DriveCharacteristics(byteCount: 3 << 40, identifier: Rig.disk().identifier)])
    _ = end(0x27, extended: true, &rig)
    #expect((3...5).map { rig.in8(0x1F0 + $0) } == [0xFF, 0xFF, 0xFF])
    rig.out(0x3F6, 0x88)
    #expect((3...5).map { rig.in8(0x1F0 + $0) } == [0x7F, 0x01, 0])
    let words = rig.identify()
    #expect(words[60] == 0xFFFF && words[61] == 0x0FFF)
    #expect(words[100...103].elementsEqual([0, 0x8000, 0x1, 0]))
  }

  @Test(arguments: [0x20, 0xC4, 0xC8, 0x30, 0xC5, 0xCA, 0x40] as [UInt8]) func rangesAreChecked(code: UInt8) {
    var rig = Rig()
    #expect(end(code, sector: 2048, count: 1, &rig) == (0x51, 0x10))
    #expect(end(code, sector: 2047, count: 2, &rig) == (0x51, 0x10))
    #expect(end(code, sector: 0x0FFF_FFFF, count: 0, &rig) == (0x51, 0x10))
    #expect(rig.performed.isEmpty)
  }

  @Test(arguments: [0x24, 0x25, 0x29, 0x34, 0x35, 0x39, 0x3D, 0x42, 0xCE] as [UInt8])
  func extendedRangesAreChecked(code: UInt8) {
    var rig = Rig()
    #expect(end(code, sector: 0xFFFF_FFFF_FFFF, count: 0, extended: true, &rig) == (0x51, 0x10))
    #expect(end(code, sector: 2047, count: 2, extended: true, &rig) == (0x51, 0x10))
    #expect(end(code, sector: 0, count: 0, extended: true, &rig) == (0x51, 0x10))  // 65536 sectors
    #expect(rig.performed.isEmpty)
  }

  @Test func cylinderHeadSector() {
    var rig = Rig()
    rig.select(0)
    func read(_ cylinder: UInt16, _ head: UInt8, _ sector: UInt8) -> [UInt8]? {
      rig.out(0x1F2, 1)
      rig.out(0x1F3, sector)
      rig.out(0x1F4, UInt8(cylinder & 0xFF))
      rig.out(0x1F5, UInt8(cylinder >> 8))
      rig.out(0x1F6, 0xA0 | head)
      rig.command(0x20)
      return rig.in8(0x1F7) & 1 == 0 ? rig.input(0x1F0, size: 2, count: 256) : nil
    }
    #expect(read(0, 0, 1) == rig.sector(0))
    #expect(read(1, 2, 3) == rig.sector((16 + 2) * 63 + 2))
    #expect(read(0, 0, 0) == nil)
    #expect(read(0, 0, 64) == nil)
    #expect(read(0xFFFF, 15, 63) == nil)
    // INITIALIZE DEVICE PARAMETERS: 4 heads, 32 sectors.
    rig.out(0x1F2, 32)
    rig.out(0x1F6, 0xA3)
    rig.command(0x91)
    #expect(read(2, 1, 1) == rig.sector((8 + 1) * 32))
    #expect(read(0, 4, 1) == nil)
    rig.out(0x1F2, 0)
    rig.command(0x91)
    #expect(rig.in8(0x1F7) & 1 == 1)
  }

  @Test func multipleCounts() {
    var rig = Rig()
    for count: UInt32 in [1, 2, 4, 8, 16] { #expect(end(0xC6, count: count, &rig) == (0x50, 0)) }
    for count: UInt32 in [3, 32, 255] { #expect(end(0xC6, count: count, &rig) == (0x51, 4)) }
    #expect(rig.identify()[59] == 0x0110)
    #expect(end(0xC6, count: 0, &rig) == (0x50, 0))
    #expect(end(0xC4, count: 1, &rig) == (0x51, 4))
    #expect(rig.identify()[59] == 0)
  }

  @Test func writeCacheOffMakesWritesDurable() {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 512)])
    func write() -> DriveOperation? {
      _ = rig.dma(0xCA, write: true, sector: 0, count: 1)
      if case .direct(let request, _) = rig.performed.last { return request.operation }
      return nil
    }
    #expect(write() == .write(forceUnitAccess: false))
    #expect(end(0xEF, features: 0x82, &rig) == (0x50, 0))
    #expect(rig.performed.last == .drive(DriveRequest(.flush)))
    #expect(write() == .write(forceUnitAccess: true))
    #expect(rig.identify()[85] & 1 << 5 == 0)
    #expect(end(0xEF, features: 0x02, &rig) == (0x50, 0))
    #expect(write() == .write(forceUnitAccess: false))
    var without = Rig([.primaryMaster: Rig.disk(cache: false)])
    #expect(end(0xEF, features: 0x02, &without) == (0x51, 4))
    #expect(without.identify()[82] & 1 << 5 == 0)
  }

  @Test func readOnlyDisksRefuse() {
    var rig = Rig([.primaryMaster: Rig.disk(readOnly: true)])
    for code: UInt8 in [0x30, 0xC5, 0xCA] { #expect(end(code, &rig) == (0x51, 4)) }
    for code: UInt8 in [0x34, 0x35, 0x39, 0x3D, 0xCE] { #expect(end(code, extended: true, &rig) == (0x51, 4)) }
    #expect(end(0x06, features: 1, extended: true, &rig) == (0x51, 4))
    #expect(rig.performed.isEmpty)
    #expect(rig.identify()[169] == 0)
  }

  /// All codes, on a disk and on a DVD drive: what is not known is aborted, nothing hangs, IDENTIFY works afterwards.
  @Test(arguments: [0, 1]) func everyCode(channel: Int) {
    var rig = Rig()
    for code in UInt8.min...UInt8.max {
      rig.select(0, channel: channel)
      rig.load(sector: 0, count: 1, extended: true, channel: channel)
      rig.command(code, channel: channel)
      let status = rig.in8(Rig.commands[channel] + 7)
      let isDMA = [0x25, 0x35, 0x3D, 0xC8, 0xC9, 0xCA, 0xCB].contains(code) && channel == 0
      #expect((status & 0x80 != 0) == isDMA, "\(code)")
      rig.softReset(channel)
      #expect(rig.identify(channel == 0 ? 0xEC : 0xA1, channel: channel).count == 256, "\(code)")
    }
  }

  static let failures: [(DriveFailure, UInt8, UInt8)] = [
    (.readFailed, 0x51, 0x40), (.writeFailed, 0x71, 0x04), (.noSpace, 0x71, 0x04), (.outOfRange, 0x51, 0x10),
    (.broken, 0x71, 0x04), (.mediumAbsent, 0x51, 0x04), (.cancelled, 0x51, 0x04),
  ]

  @Test(arguments: failures) func failuresHaveTheirBits(failure: DriveFailure, status: UInt8, error: UInt8) {
    var rig = Rig()
    rig.putTable([(Rig.buffer, 4096)])
    rig.failure = (failure, 7 * 512)
    let end = rig.dma(0xC8, write: false, sector: 5, count: 8)
    #expect(end.master & 4 != 0 && end.status == status)
    #expect(rig.in8(0x1F1) == error)
    #expect(rig.in8(0x1F3) == 7)  // the sector to blame
    // And by PIO.
    rig.failure = (failure, nil)
    rig.select(0)
    rig.load(sector: 9, count: 1)
    rig.command(0x20)
    #expect(rig.in8(0x1F7) == status && rig.in8(0x1F1) == error)
    #expect(rig.dma(0xC8, write: false, sector: 5, count: 8).status == 0x50)
  }

  @Test func diagnosticResetsBoth() {
    var rig = Rig([.primaryMaster: Rig.disk(), .primarySlave: Rig.disk()])
    rig.select(1)
    rig.command(0x90)
    #expect(rig.rises[0] == 1)
    #expect(rig.in8(0x1F7) == 0x50 && rig.in8(0x1F1) == 1)
    #expect((2...6).map { rig.in8(0x1F0 + $0) } == [1, 1, 0, 0, 0])
  }

  @Test func slavesHaveTheirOwnRegistersAndData() {
    var rig = Rig([.primaryMaster: Rig.disk(), .primarySlave: Rig.disk(2 << 20)])
    #expect(rig.identify(unit: 0)[60] == 2048)
    #expect(rig.identify(unit: 1)[60] == 4096)
    rig.putTable([(Rig.buffer, 512)])
    _ = rig.dma(0xC8, write: false, sector: 4000, count: 1, unit: 1)
    #expect(Array(rig.memory[0x10_0000..<0x10_0200]) == rig.sector(4000, .primarySlave))
  }

  @Test func withheldDriveIsAbsentAndComesBack() {
    var rig = Rig()
    rig.isImmediate = false
    rig.select(0)
    rig.load(sector: 0, count: 1)
    rig.command(0x20)
    var effects: [IDEEffect] = []
    rig.board.setWithheld(true, .primaryMaster, &effects)
    #expect(rig.board.isWithheld(.primaryMaster))
    rig.run()  // what was under way ends, unheard
    #expect(rig.rises[0] == 0)
    #expect(rig.in8(0x1F7) == 0xFF)
    #expect(rig.identify().isEmpty)
    rig.board.setWithheld(false, .primaryMaster, &effects)
    #expect(rig.in8(0x1F7) == 0x50)
    rig.isImmediate = true
    #expect(rig.identify().count == 256)
  }

  /// What an owner needs as a proof that a withheld drive does nothing; a reset does not forget it.
  @Test func commandsToAWithheldDriveAreCounted() {
    var rig = Rig()
    var effects: [IDEEffect] = []
    rig.board.setWithheld(true, .primaryMaster, &effects)
    rig.select(1)
    rig.command(0x40)
    #expect(rig.board.refusedCommands(.primaryMaster) == 0 && rig.board.refusedCommands(.primarySlave) == 0)
    rig.select(0)
    for command: UInt8 in [0x20, 0x30, 0xEC, 0xCA] { rig.command(command) }
    #expect(rig.board.refusedCommands(.primaryMaster) == 4)
    #expect(rig.board.refusedCommands(.primarySlave) == 0)
    rig.board.reset()
    #expect(rig.board.refusedCommands(.primaryMaster) == 4)
    #expect(!rig.board.isWithheld(.primaryMaster))
    #expect(rig.identify().count == 256)
    #expect(rig.board.refusedCommands(.primaryMaster) == 4)
  }
}

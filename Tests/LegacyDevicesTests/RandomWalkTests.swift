// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import Testing
import VirtualDisks

/// Any accesses in any order, requests ending at any moment: no trap, never two requests of one drive at once, and after a
/// reset the drives answer.
@Suite struct RandomWalkTests {
  @Test(arguments: 0..<4 as Range<UInt64>) func anyOrder(seed: UInt64) {
    var random = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func next(_ limit: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % limit
    }
    var rig = Rig([
      .primaryMaster: Rig.disk(), .primarySlave: Rig.disk(2 << 20),
      .secondaryMaster: .dvd(byteCount: 1 << 20, identifier: Rig.disk().identifier),
    ])
    rig.isImmediate = false
    let commands: [UInt8] = [
      0x06, 0x08, 0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x90, 0xA0, 0xA1, 0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xE7,
      0xEC, 0xEF,
    ]
    let packets: [UInt8] = [0x00, 0x03, 0x12, 0x1B, 0x1E, 0x25, 0x28, 0x43, 0x46, 0x4A, 0x5A, 0xA8]
    for step in 0..<5_000 {
      let base = Rig.commands[next(2)]
      switch next(16) {
      case 0...3: rig.out(base + UInt16(1 + next(5)), UInt8(next(next(4) == 0 ? 256 : 4)))
      case 4: rig.out(base + 6, 0xE0 | UInt8(next(2)) << 4)
      case 5...6: rig.out(base + 7, next(20) == 0 ? UInt8(next(256)) : commands[next(commands.count)])
      case 7: _ = rig.input(base, size: [1, 2, 4][next(3)], count: 1 + next(300))
      case 8:
        let code = packets[next(packets.count)]
        rig.output(base, [code, 0, 0, 0, UInt8(next(40)), 0, 0, 0, UInt8(next(4)), 0, 0, 0], size: 2)
      case 9: rig.output(base, [UInt8](repeating: UInt8(next(256)), count: 2 * (1 + next(256))), size: 2)
      case 10: _ = rig.in8(base + UInt16(next(8)))
      case 11: rig.out(Rig.controls[next(2)], UInt8(next(30) == 0 ? 0x0C : next(2) * 2))
      case 12:
        let master = rig.busMaster(next(2))
        rig.out32(master + 4, Rig.table)
        rig.out(master, UInt8(next(2) * 8))
        rig.out(master, UInt8(next(2) * 8 + 1))
      case 13: rig.putTable([(UInt32(next(1 << 23)), UInt16(next(1 << 16)))])
      case 14:
        if !rig.waiting.isEmpty {
          if next(8) == 0 { rig.failure = (.readFailed, nil) }
          rig.runFirst()
        }
      default:
        if next(50) == 0 { rig.configuration(UInt32(next(64) * 4), UInt32(truncatingIfNeeded: next(1 << 30))) }
        if next(200) == 0 {
          // As its owner does it: everything under way has ended.
          rig.waiting = []
          rig.board.reset()
        }
      }
      if rig.waiting.count > 1 {
        #expect(Set(rig.waiting.map(\.position)).count == rig.waiting.count, "step \(step)")
      }
    }
    rig.run()
    rig.board.reset()
    rig.isImmediate = true
    rig.putTable([(Rig.buffer, 512)])
    #expect(rig.dma(0xC8, write: false, sector: 9, count: 1).status == 0x50)
    #expect(rig.packet([0x12, 0, 0, 0, 36]).data.count == 36)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

/// What a disk says about its commands, and what it does with them.
@Suite struct SCSISupportedOperationsTests {
  private static func ask(
    options: UInt8, _ code: UInt8 = 0, action: UInt16 = 0, allocation: UInt32 = 4096
  ) -> [UInt8] {
    [0xA3, 0x0C, options, code] + big(action) + big(allocation) + [0, 0]
  }

  /// The question of Linux's scsi_report_opcode, and what it reads of the answer.
  private func isSupported(_ disk: inout SCSIBench, _ code: UInt8) -> Bool {
    disk.run(Self.ask(options: 1, code)).data.dropFirst().first.map { $0 & 3 == 3 } ?? false
  }

  /// Every first byte: said to be supported exactly when the disk does not refuse it as an unknown one.
  @Test(arguments: [nil, 4096] as [UInt32?]) func saidAndDone(granularity: UInt32?) {
    var disk = SCSIBench.disk(granularity: granularity)
    for code in UInt8.min...UInt8.max {
      let command = [code] + Array(repeating: 0 as UInt8, count: 15)
      let isDone = disk.run(command) != .invalidOperation
      let asked = disk.run(Self.ask(options: 1, code))
      if code == 0x9E || code == 0xA3 {
        #expect(isDone && asked == .invalidField)
        #expect(disk.run(Self.ask(options: 2, code, action: code == 0x9E ? 0x10 : 0x0C)).data[1] == 3)
        #expect(disk.run(Self.ask(options: 2, code, action: 0x1F)).data == [0, 1, 0, 0])
      } else {
        #expect(isSupported(&disk, code) == isDone, "\(code)")
        #expect(asked.data[1] == (isDone ? 3 : 1))
      }
    }
  }

  @Test func usageOfOneCommand() {
    var disk = SCSIBench.disk()
    #expect(
      disk.run(Self.ask(options: 1, 0x28)).data
        == [0, 3, 0, 10, 0x28, 0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0])
    let writeSame = disk.run(Self.ask(options: 3, 0x93)).data
    #expect(Array(writeSame.prefix(6)) == [0, 3, 0, 16, 0x93, 0x09] && writeSame.count == 20)
    // Without service actions the field says 0; with some it names one.
    #expect(disk.run(Self.ask(options: 3, 0x93, action: 1)).data == [0, 1, 0, 0])
    #expect(Array(disk.run(Self.ask(options: 3, 0x9E, action: 0x10)).data[4..<6]) == [0x9E, 0x10])
    let timed = disk.run(Self.ask(options: 0x81, 0x00)).data
    #expect(timed == [0, 0x83, 0, 6, 0, 0, 0, 0, 0, 0, 0, 10] + Array(repeating: 0, count: 10))
  }

  @Test func allCommands() {
    for granularity in [nil, 4096] as [UInt32?] {
      var disk = SCSIBench.disk(granularity: granularity)
      let short = disk.run(Self.ask(options: 0)).data
      let count = (short.count - 4) / 8
      #expect(Array(short.prefix(4)) == big(UInt32(count * 8)) && (short.count - 4) % 8 == 0)
      let long = disk.run(Self.ask(options: 0x80)).data
      #expect(long.count == 4 + 20 * count && Array(long.prefix(4)) == big(UInt32(count * 20)))
      for index in 0..<count {
        let code = short[4 + 8 * index]
        // Six, ten, sixteen or twelve bytes by the group of the code.
        let size: UInt8 = [6, 10, 10, 0, 16, 12, 0, 0][Int(code >> 5)]
        #expect(short[4 + 8 * index + 7] == size, "\(code)")
        #expect(long[4 + 20 * index] == code && long[4 + 20 * index + 5] & 2 == 2)
        if code != 0x9E, code != 0xA3 { #expect(isSupported(&disk, code)) }
      }
      #expect(short.count > 200)
    }
  }

  @Test func whatIsNotAnswered() {
    var disk = SCSIBench.disk()
    for options in 4..<8 as Range<UInt8> { #expect(disk.run(Self.ask(options: options)) == .invalidField) }
    for action in 0..<32 as Range<UInt8> where action != 0x0C {
      #expect(disk.run([0xA3, action] + Array(repeating: 0, count: 10)) == .invalidField)
    }
    // A command without service actions cannot be asked for by one.
    #expect(disk.run(Self.ask(options: 2, 0x28)) == .invalidField)
    for allocation in [0, 1, 3, 65535] as [UInt32] {
      #expect(disk.run(Self.ask(options: 1, 0x28, allocation: allocation)).data.count == min(14, Int(allocation)))
    }
    // DVD drives have no such command in MMC.
    var dvd = SCSIBench.dvd()
    #expect(dvd.run(Self.ask(options: 0)) == .invalidOperation)
  }
}

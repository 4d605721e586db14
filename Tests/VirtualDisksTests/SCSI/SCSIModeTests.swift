// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

@Suite struct SCSIModeTests {
  @Test func cachingPage() {
    var disk = SCSIBench.disk(sectors: 0x1000)
    let six = disk.run([0x1A, 0x08, 0x08, 0, 255, 0]).data
    #expect(six == [23, 0, 0x10, 0, 8, 18, 4] + Array(repeating: 0, count: 17))
    let ten = disk.run([0x5A, 0, 0x08, 0, 0, 0, 0, 0, 255, 0]).data
    #expect(Array(ten.prefix(16)) == [0, 34, 0, 0x10, 0, 0, 0, 8] + big(0x1000 as UInt32) + big(512 as UInt32))
    #expect(Array(ten[16..<19]) == [8, 18, 4])
    // LLBAA: the long block descriptor.
    let long = disk.run([0x5A, 0x10, 0x08, 0, 0, 0, 0, 0, 255, 0]).data
    #expect(Array(long[4..<8]) == [1, 0, 0, 16])
    #expect(Array(long[8..<24]) == big(0x1000 as UInt64) + [0, 0, 0, 0] + big(512 as UInt32))
    var through = SCSIBench.disk(cache: false)
    #expect(through.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[6] == 0)
  }

  @Test func controls() {
    var disk = SCSIBench.disk()
    // Changeable: WCE and D_SENSE.
    let changeable = disk.run([0x1A, 0x08, 0x7F, 0, 255, 0]).data
    let expected: [UInt8] =
      [1, 10] + Array(repeating: 0, count: 10) + [8, 18, 4] + Array(repeating: 0, count: 17) + [10, 10, 4]
    #expect(Array(changeable.dropFirst(4)) == expected + Array(repeating: 0, count: 9))
    #expect(disk.run([0x1A, 0x08, 0xC8, 0, 255, 0]) == .check(.illegalRequest, .savingNotSupported))
    // Pages and subpages that are not there: 1Ch, which Linux's comment names, and 0Ah/05h, which 6.12 asks for.
    #expect(disk.run([0x1A, 0x08, 0x1C, 0, 255, 0]) == .invalidField)
    #expect(disk.run([0x1A, 0x08, 0x0A, 5, 255, 0]) == .invalidField)
    #expect(disk.run([0x1A, 0x08, 0x3F, 0xFF, 255, 0]).status == .good)
  }

  private static func select(_ page: [UInt8], flags: UInt8 = 0x10) -> ([UInt8], [UInt8]) {
    let list = [0, 0, 0, 0] + page
    return ([0x15, flags, 0, 0, UInt8(list.count), 0], list)
  }

  private static func caching(_ first: UInt8) -> [UInt8] { [8, 18, first] + Array(repeating: 0, count: 17) }

  /// What writing "write through" to a disk's cache_type does in Linux.
  @Test func writeCacheIsTurnedOffAndOn() {
    var disk = SCSIBench.disk()
    let (off, offList) = Self.select(Self.caching(0))
    #expect(disk.run(off, sending: offList).outcome == .good(byteCount: 24))
    #expect(disk.requests == [DriveRequest(.flush)])
    #expect(disk.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[6] == 0)
    #expect(disk.run([0x1A, 0x08, 0x88, 0, 255, 0]).data[6] == 4)
    #expect(
      disk.requests(of: CDB.write10(0, 1)) == [
        DriveRequest(.write(forceUnitAccess: true), byteOffset: 0, byteCount: 512)
      ])
    let (on, onList) = Self.select(Self.caching(4))
    #expect(disk.run(on, sending: onList).status == .good)
    #expect(
      disk.requests(of: CDB.write10(0, 1))
        == [DriveRequest(.write(forceUnitAccess: false), byteOffset: 0, byteCount: 512)])
    // A reset brings the start back.
    _ = disk.run(off, sending: offList)
    disk.unit.reset()
    _ = disk.run([0, 0, 0, 0, 0, 0])
    #expect(disk.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[6] == 4)
  }

  private static func control(_ first: UInt8) -> [UInt8] { [10, 10, first, 0x10] + Array(repeating: 0, count: 8) }

  /// Sense data in the format that the guest has chosen, whether a command fails at once or in the drive.
  @Test func senseFormat() {
    var disk = SCSIBench.disk(sectors: 1 << 36)
    let beyond = CDB.read16(1 << 36, 1)
    #expect(disk.run(beyond).sense == SenseData(.illegalRequest, .blockOutOfRange, information: 1 << 36))
    #expect(disk.run(Self.select(Self.control(4))) == .init(outcome: .good(byteCount: 16), data: []))
    #expect(disk.run([0x1A, 0x08, 0x0A, 0, 255, 0]).data[6...7] == [4, 0x10])
    #expect(disk.run([0x1A, 0x08, 0x8A, 0, 255, 0]).data[6] == 0)
    #expect(
      disk.run(beyond).sense
        == SenseData(.illegalRequest, .blockOutOfRange, information: 1 << 36, format: .descriptors))
    disk.results = [.failure(.readFailed, at: (1 << 33 + 5) << 9)]
    #expect(
      disk.run(CDB.read16(1 << 33, 8)).sense
        == SenseData(.mediumError, .unrecoveredReadError, information: 1 << 33 + 5, format: .descriptors))
    // Parameters that are wrong; a condition that waits.
    let (cut, cutList) = Self.select(Array(Self.caching(0).dropLast()))
    #expect(
      disk.run(cut, sending: cutList).sense == SenseData(.illegalRequest, .parameterListLength, format: .descriptors))
    disk.unit.raise(.capacityChanged)
    #expect(
      disk.run([0, 0, 0, 0, 0, 0]).sense == SenseData(.unitAttention, .capacityChanged, format: .descriptors))
    // And back: by the guest, by a reset, by another kernel.
    let usual = SCSIBench.Answer.check(.illegalRequest, .invalidFieldInCommand)
    #expect(disk.run(Self.select(Self.control(0))).status == .good)
    #expect(disk.run([0x1A, 0x08, 0x1C, 0, 255, 0]) == usual)
    _ = disk.run(Self.select(Self.control(4)))
    disk.unit.reset()
    #expect(disk.run([0, 0, 0, 0, 0, 0]) == .check(.unitAttention, .resetOccurred))
    _ = disk.run(Self.select(Self.control(4)))
    disk.unit.restart()
    #expect(disk.run([0x1A, 0x08, 0x1C, 0, 255, 0]) == usual)
    // Both pages at once; WCE and D_SENSE are each other's strangers.
    #expect(disk.run(Self.select(Self.caching(0) + Self.control(4))).status == .good)
    #expect(disk.run([0x1A, 0x08, 0x3F, 0, 255, 0]).data[18] == 0)
    #expect(disk.run(Self.select(Self.caching(4))).status == .good)
    #expect(disk.run([0x1A, 0x08, 0x1C, 0, 255, 0]).sense?.format == .descriptors)
  }

  /// REQUEST SENSE says itself which format it wants.
  @Test func requestedSense() {
    var disk = SCSIBench.disk()
    #expect(disk.run([3, 1, 0, 0, 255, 0]).data == [0x72, 0, 0, 0, 0, 0, 0, 0])
    disk.unit.raise(.capacityChanged)
    #expect(disk.run([3, 1, 0, 0, 255, 0]).data == [0x72, 6, 0x2A, 9, 0, 0, 0, 0])
    disk.unit.raise(.capacityChanged)
    #expect(
      disk.run([3, 0, 0, 0, 255, 0]).data == [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x2A, 9, 0, 0, 0, 0])
  }

  @Test func nothingElseCanBeSet() {
    let refused = SCSIBench.Answer.check(.illegalRequest, .invalidFieldInParameters)
    let short = SCSIBench.Answer.check(.illegalRequest, .parameterListLength)
    var disk = SCSIBench.disk()
    for bad in [
      Self.caching(5), [8, 17, 0] + Array(repeating: 0, count: 16), [0x1C, 10] + Array(repeating: 0, count: 10),
    ] {
      let (command, list) = Self.select(bad)
      #expect(disk.run(command, sending: list) == refused)
    }
    // A page that is cut off, and a block descriptor beyond the list.
    let (cut, cutList) = Self.select(Array(Self.caching(0).dropLast()))
    #expect(disk.run(cut, sending: cutList) == short)
    #expect(disk.run([0x15, 0x10, 0, 0, 4, 0], sending: [0, 0, 0, 200]) == short)
    #expect(disk.run([0x15, 0x10, 0, 0, 3, 0], sending: [0, 0, 0]) == short)
    #expect(disk.run([0x55, 0x10, 0, 0, 0, 0, 0, 1, 1, 0], room: 4096) == short)
    // Of the control page: a byte that is fixed.
    let (control, controlList) = Self.select([10, 10, 4, 0] + Array(repeating: 0, count: 8))
    #expect(disk.run(control, sending: controlList) == refused)
    // SP, and pages of a vendor's form.
    let (saved, list) = Self.select(Self.caching(0), flags: 0x11)
    #expect(disk.run(saved, sending: list) == .invalidField)
    let (vendor, _) = Self.select(Self.caching(0), flags: 0)
    #expect(disk.run(vendor, sending: list) == .invalidField)
    #expect(disk.requests.isEmpty)
    #expect(disk.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[6] == 4)
  }
}

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
    // Changeable: WCE alone.
    let changeable = disk.run([0x1A, 0x08, 0x7F, 0, 255, 0]).data
    let expected: [UInt8] =
      [1, 10] + Array(repeating: 0, count: 10) + [8, 18, 4] + Array(repeating: 0, count: 17) + [10, 10]
    #expect(Array(changeable.dropFirst(4)) == expected + Array(repeating: 0, count: 10))
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
    // SP, and pages of a vendor's form.
    let (saved, list) = Self.select(Self.caching(0), flags: 0x11)
    #expect(disk.run(saved, sending: list) == .invalidField)
    let (vendor, _) = Self.select(Self.caching(0), flags: 0)
    #expect(disk.run(vendor, sending: list) == .invalidField)
    #expect(disk.requests.isEmpty)
    #expect(disk.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[6] == 4)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

@Suite struct SCSIIdentityTests {
  @Test func inquirySaysWhatLinuxLooksFor() {
    var disk = SCSIBench.disk()
    #expect(
      disk.run(CDB.inquiry()).data == [0, 0, 5, 2, 31, 0, 0, 2] + Array("Msft    Virtual Disk    1.0 ".utf8))
    var dvd = SCSIBench.dvd()
    #expect(
      dvd.run(CDB.inquiry()).data == [5, 0x80, 5, 2, 31, 0, 0, 2] + Array("Msft    Virtual CD/ROM  1.0 ".utf8))
  }

  @Test(arguments: [0, 1, 3, 5, 36, 65535] as [UInt16]) func allocationLengths(_ allocation: UInt16) {
    for page in [nil, 0, 0x80, 0x83, 0xB0, 0xB1, 0xB2] as [UInt8?] {
      var disk = SCSIBench.disk()
      let whole = disk.run(CDB.inquiry(page: page, 65535)).data
      let part = disk.run(CDB.inquiry(page: page, allocation))
      #expect(part.status == .good && part.data == Array(whole.prefix(Int(allocation))), "page \(page ?? 0xFF)")
      // A guest whose buffer is shorter than its allocation length.
      #expect(disk.run(CDB.inquiry(page: page, 65535), room: 3).data == Array(whole.prefix(3)))
      #expect(disk.run(CDB.inquiry(page: page, 65535), room: 0).data == [])
    }
    // READ CAPACITY (16), MODE SENSE (6) and (10), REPORT LUNS.
    var disk = SCSIBench.disk()
    let capacity = disk.run([0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0] + big(UInt32(allocation)) + [0, 0])
    #expect(capacity.status == .good && capacity.data.count == min(32, Int(allocation)))
    let six = disk.run([0x1A, 0, 0x3F, 0, UInt8(truncatingIfNeeded: allocation), 0])
    #expect(six.status == .good && six.data.count == min(56, Int(UInt8(truncatingIfNeeded: allocation))))
    let ten = disk.run([0x5A, 0, 0x3F, 0, 0, 0, 0] + big(allocation) + [0])
    #expect(ten.status == .good && ten.data.count == min(60, Int(allocation)))
    let units = disk.run(CDB.reportUnits(UInt32(allocation)))
    if allocation < 16 { #expect(units == .invalidField) } else { #expect(units.data.count == 16) }
  }

  @Test func absentPagesAreRefused() {
    var disk = SCSIBench.disk()
    let pages = disk.run(CDB.inquiry(page: 0)).data
    #expect(pages == [0, 0, 0, 6, 0, 0x80, 0x83, 0xB0, 0xB1, 0xB2])
    for page in UInt8.min...UInt8.max where !pages.dropFirst(4).contains(page) {
      #expect(disk.run(CDB.inquiry(page: page)) == .invalidField)
    }
    // A page without EVPD.
    #expect(disk.run([0x12, 0, 0x80, 0, 255, 0]) == .invalidField)
    var dvd = SCSIBench.dvd()
    #expect(dvd.run(CDB.inquiry(page: 0)).data == [5, 0, 0, 3, 0, 0x80, 0x83])
  }

  @Test func namesAreStableAndDistinct() {
    let one = SCSIIdentity.name(GUID(low: 1, high: 2))
    #expect(one.count == 16 && Array(one.prefix(4)) == [0x60, 0x02, 0x24, 0x80])
    // Every bit of the GUID counts.
    for bit in 0..<128 as Range<UInt64> {
      let other = GUID(low: 1 ^ (bit < 64 ? 1 << bit : 0), high: 2 ^ (bit >= 64 ? 1 << (bit - 64) : 0))
      #expect(SCSIIdentity.name(other) != one)
    }
    var disk = SCSIBench.disk(identifier: GUID(low: 1, high: 2))
    let page = disk.run(CDB.inquiry(page: 0x83)).data
    // Binary, NAA, 16 bytes.
    #expect(Array(page[4..<8]) == [1, 3, 0, 16] && Array(page[8..<24]) == one)
    #expect(Array(page[24..<28]) == [2, 1, 0, 40] && page.count == 68)
    let serial = disk.run(CDB.inquiry(page: 0x80)).data
    #expect(String(decoding: serial[4...], as: UTF8.self) == SCSIIdentity.hexadecimal(one))
  }

  @Test func serialNumberIsPrintable() {
    var bench = SCSIBench(
      DriveCharacteristics(
        byteCount: 1 << 20, serialNumber: "a\nb\u{E9}" + String(repeating: "x", count: 50),
        identifier: GUID(low: 0, high: 0)))
    let page = bench.run(CDB.inquiry(page: 0x80)).data
    #expect(page.count == 36 && page[3] == 32)
    #expect(page.dropFirst(4).allSatisfy { $0 >= 0x20 && $0 < 0x7F })
  }

  @Test func limitsAsLinuxReadsThem() {
    var disk = SCSIBench.disk(logical: 512, physical: 4096, granularity: 1 << 20)
    let limits = disk.run(CDB.inquiry(page: 0xB0)).data
    #expect(limits.count == 64 && limits[3] == 0x3C)
    #expect(limits[4] == 1)
    // sd_read_block_limits: granularity @6, maximum @8, best @12, unmap blocks @20, descriptors @24, unmap granularity
    // @28, alignment @32, write same @36.
    #expect(Array(limits[6..<8]) == big(8 as UInt16))
    #expect(Array(limits[8..<16]) == big(2048 as UInt32) + big(2048 as UInt32))
    #expect(Array(limits[20..<28]) == big(UInt32(1 << 23)) + big(64 as UInt32))
    #expect(Array(limits[28..<36]) == big(2048 as UInt32) + big(0x8000_0000 as UInt32))
    #expect(Array(limits[36..<44]) == big(1 << 17 as UInt64))
    #expect(disk.run(CDB.inquiry(page: 0xB1)).data.count == 64)
    #expect(disk.run(CDB.inquiry(page: 0xB1)).data[5] == 1)
    #expect(disk.run(CDB.inquiry(page: 0xB2)).data == [0, 0xB2, 0, 4, 0, 0xE4, 2, 0])
    var plain = SCSIBench.disk(granularity: nil)
    #expect(plain.run(CDB.inquiry(page: 0xB2)).data == [0, 0xB2, 0, 4, 0, 0, 1, 0])
    #expect(Array(plain.run(CDB.inquiry(page: 0xB0)).data[20..<36]) == Array(repeating: 0, count: 16))
  }

  @Test(arguments: [(512, 512, 0), (512, 4096, 3), (4096, 4096, 0)] as [(UInt32, UInt32, UInt8)])
  func capacities(_ logical: UInt32, _ physical: UInt32, _ exponent: UInt8) {
    var disk = SCSIBench.disk(sectors: 12345, logical: logical, physical: physical)
    #expect(disk.run([0x25] + Array(repeating: 0, count: 9)).data == big(12344 as UInt32) + big(logical))
    let long = disk.run([0x9E, 0x10] + Array(repeating: 0, count: 11) + [32, 0, 0]).data
    #expect(Array(long.prefix(16)) == big(12344 as UInt64) + big(logical) + [0, exponent, 0xC0, 0])
    #expect(long.count == 32)
    // Other service actions of the same code.
    #expect(disk.run([0x9E, 0x12] + Array(repeating: 0, count: 11) + [32, 0, 0]) == .invalidField)
  }

  @Test func capacityBeyond32Bits() {
    var disk = SCSIBench.disk(sectors: 1 << 37)
    #expect(disk.run([0x25] + Array(repeating: 0, count: 9)).data == big(UInt32.max) + big(512 as UInt32))
    let long = disk.run([0x9E, 0x10] + Array(repeating: 0, count: 11) + [32, 0, 0]).data
    #expect(Array(long.prefix(8)) == big((1 << 37) - 1 as UInt64))
    #expect(disk.run([0x25, 0] + big(7 as UInt32) + [0, 0, 0, 0]) == .invalidField)
  }

  @Test func unitsAreListed() {
    var disk = SCSIBench.disk()
    var units = SCSIUnitSet(rawValue: 0)
    units.insert(3)
    units.insert(63)
    units.insert(64)
    let data = disk.run(CDB.reportUnits(4096), units: units).data
    #expect(data == big(16 as UInt32) + [0, 0, 0, 0] + [0, 3, 0, 0, 0, 0, 0, 0] + [0, 63, 0, 0, 0, 0, 0, 0])
    #expect(disk.run(CDB.reportUnits(4096), units: SCSIUnitSet(rawValue: .max)).data.count == 520)
    #expect(disk.run(CDB.reportUnits(4096, select: 1), units: units).data == [0, 0, 0, 0, 0, 0, 0, 0])
    #expect(disk.run(CDB.reportUnits(4096, select: 3), units: units) == .invalidField)
  }

  /// INQUIRY of an absent unit is a success with qualifier 3, since Linux forces it to be one.
  @Test func absentUnits() {
    var response = SCSIResponse()
    func answer(_ bytes: [UInt8], onTarget: Bool) -> (SCSIOutcome, [UInt8]) {
      var block = SCSICommandBlock(low: 0, high: 0, byteCount: bytes.count)
      for (index, byte) in bytes.enumerated() { block[index] = byte }
      let outcome = SCSIAbsentUnit.begin(
        SCSICommand(block, bufferByteCount: 4096, units: SCSIUnitSet(rawValue: 2)), onTarget: onTarget,
        into: &response)
      let data = unsafe response.bytes.withUnsafeBytes { unsafe Array($0) }
      return (outcome, Array(data.prefix(Int(outcome.byteCount))))
    }
    for onTarget in [true, false] {
      let (outcome, data) = answer(CDB.inquiry(page: nil, 36), onTarget: onTarget)
      #expect(outcome == .good(byteCount: 36) && data[0] == 0x7F && data[4] == 31)
    }
    #expect(answer(CDB.reportUnits(4096), onTarget: true).1.count == 16)
    #expect(answer(CDB.reportUnits(4096), onTarget: false).1 == [0, 0, 0, 0, 0, 0, 0, 0])
    for code in UInt8.min...UInt8.max where code != 0x12 && code != 0xA0 {
      #expect(answer([code] + Array(repeating: 0, count: 15), onTarget: true).0 == .noUnit)
    }
  }
}

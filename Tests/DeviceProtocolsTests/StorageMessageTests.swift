// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import DeviceProtocols

/// Packets as Linux lays them out: written by a C program, compiled by gcc 12 for x86-64, that fills `vstor_packet` of
/// drivers/scsi/storvsc_drv.c of Debian's linux-source-6.1 (6.1.192; 6.12.117 has the same) and dumps it.
extension Golden {
  static let storageVersion = Golden(size: 64, runs: [(0, "09000000 01000000 00000000 02060000")])
  static let storageProperties = Golden(
    size: 64, runs: [(0, "01000000 00000000 00000000 00000000 03000000 01000000 00001000 00000000")])
  static let storageRead = Golden(
    size: 64,
    runs: [
      (
        0,
        """
        03000000 01000000 00000000 34000000 02000005 0a140100 00100000 28001234 56780000 08000000 \
        00000000 00000000 00000020 4a010000 3c000000
        """
      )
    ])
  static let storageFailed = Golden(
    size: 64,
    runs: [
      (
        0,
        """
        01000000 00000000 00000000 34008402 02000005 0a120100 00000000 f0000512 3456780a 00000000 \
        21000000 00000000 00000020 4a010000 3c000000
        """
      )
    ])
}

@Suite struct StorageMessageTests {
  @Test func versionQueryIsLinux() throws {
    let golden = Golden.storageVersion.bytes
    #expect(try StorageHeader(decoding: golden.wire) == StorageHeader(operation: .queryVersion, flags: 1))
    #expect(try StorageVersion(decodingBodyOf: golden.wire) == .v6_2)
    let encoded = try bytes(64) { (packet: inout MutableRawSpan) in
      try StorageHeader(operation: .queryVersion, flags: 1).encode(into: &packet)
      try StorageVersion.v6_2.encode(intoBodyOf: &packet)
    }
    #expect(encoded == golden)
    cut(golden, needed: 16) { try StorageVersion(decodingBodyOf: $0) }
    cut(golden, needed: 12) { try StorageHeader(decoding: $0) }
  }

  @Test func propertiesAreLinux() throws {
    let golden = Golden.storageProperties.bytes
    let properties = StorageProperties(maximumSubChannels: 3, maximumTransferBytes: 1 << 20)
    #expect(try StorageProperties(decodingBodyOf: golden.wire) == properties)
    let encoded = try bytes(64) { (packet: inout MutableRawSpan) in
      try StorageHeader(operation: .completion).encode(into: &packet)
      try properties.encode(intoBodyOf: &packet)
    }
    #expect(encoded == golden)
    cut(golden, needed: 36) { try StorageProperties(decodingBodyOf: $0) }
  }

  @Test func requestBlockIsLinux() throws {
    let golden = Golden.storageRead.bytes
    let block = try SCSIRequestBlock(decodingBodyOf: golden.wire, version: .v6_2)
    #expect(block.byteCount == 0x34 && block.port == 2 && block.path == 0 && block.target == 0 && block.unit == 5)
    #expect(block.commandLength == 10 && block.senseLength == 20 && block.direction == .read)
    #expect(block.dataLength == 4096 && block.timeoutSeconds == 60 && block.queueAction == 0x20)
    #expect(block.flags == 0x14A)
    #expect(block.command.operation == .read10)
    #expect(block.command.uint32(at: 2) == 0x1234_5678 && block.command.uint16(at: 7) == 8)
    let encoded = try bytes(64) { (packet: inout MutableRawSpan) in
      try StorageHeader(operation: .execute, flags: 1).encode(into: &packet)
      try block.encode(intoBodyOf: &packet, version: .v6_2)
    }
    #expect(encoded == golden)
    cut(golden, needed: 64) { try SCSIRequestBlock(decodingBodyOf: $0, version: .v6_2) }
    cut(golden, needed: 64) { try SCSIRequestBlock(decodingBodyOf: $0, version: .v5_1) }
    cut(golden, needed: 48) { try SCSIRequestBlock(decodingBodyOf: $0, version: .v4_2) }
  }

  @Test func senseGoesWhereLinuxLooks() throws {
    let golden = Golden.storageFailed.bytes
    var block = try SCSIRequestBlock(decodingBodyOf: Golden.storageRead.bytes.wire, version: .v6_2)
    block.status = .error.withSense
    block.deviceStatus = .checkCondition
    block.dataLength = 0
    let sense = SenseData(.illegalRequest, .blockOutOfRange, information: 0x1234_5678)
    block.setSense(sense)
    let encoded = try bytes(64) { (packet: inout MutableRawSpan) in
      try StorageHeader(operation: .completion).encode(into: &packet)
      try block.encode(intoBodyOf: &packet, version: .v6_2)
    }
    #expect(encoded == golden)
    let answer = try SCSIRequestBlock(decodingBodyOf: golden.wire, version: .v6_2)
    #expect(SenseData(low: answer.low, high: answer.high, byteCount: Int(answer.senseLength)) == sense)
  }

  @Test func senseInEitherFormat() {
    // Descriptor format: 72h, key, code, qualifier.
    #expect(
      SenseData(low: 0x0921_0672 & 0xFFFF_FFFF, high: 0, byteCount: 8)
        == SenseData(.unitAttention, AdditionalSense(0x21, 0x09), format: .descriptors))
    #expect(SenseData(low: 0x70, high: 0, byteCount: 13) == nil)
    #expect(SenseData(low: 0x72, high: 0, byteCount: 3) == nil)
    #expect(SenseData(low: 0, high: 0, byteCount: 18) == nil)
  }

  /// Examples of SPC-4 4.5.2: what SBC-3 puts into the information is 64 bits long in the one format and 32 in the other.
  @Test(arguments: [5, 0xFFFF_FFFF, 0x1_0000_0000, .max] as [UInt64])
  func informationOf64Bits(_ block: UInt64) throws {
    for format in [SenseData.Format.fixed, .descriptors] {
      let sense = SenseData(.mediumError, .unrecoveredReadError, information: block, format: format)
      var request = SCSIRequestBlock()
      request.senseLength = 20
      request.setSense(sense)
      #expect(Int(request.senseLength) == sense.byteCount)
      let found = SenseData(
        low: request.low, high: request.high, last: request.last, byteCount: Int(request.senseLength))
      var expected = sense
      if format == .fixed, block > 0xFFFF_FFFF { expected.information = nil }
      #expect(found == expected)
      // The 18 bytes of old guests: all of it, or what is left without the descriptor.
      request.senseLength = 18
      request.setSense(sense)
      if format == .descriptors { expected.information = nil }
      #expect(Int(request.senseLength) == expected.byteCount)
      #expect(
        SenseData(low: request.low, high: request.high, last: request.last, byteCount: Int(request.senseLength))
          == expected)
    }
    let bytes = SenseData(.mediumError, .unrecoveredReadError, information: 0x0102_0304_0506_0708, format: .descriptors)
    #expect(bytes.low == 0x0C00_0000_0011_0372)
    #expect(bytes.high == 0x0403_0201_0080_0A00 && bytes.last == 0x0807_0605)
  }

  @Test func commandsEndWhereTheyEnd() {
    for count in -1...17 {
      let block = SCSICommandBlock(low: .max, high: .max, byteCount: count)
      #expect(block.byteCount == min(max(count, 0), 16))
      for index in -1...17 {
        #expect(block[index] == (index >= 0 && index < min(max(count, 0), 16) ? 0xFF : 0), "\(count) \(index)")
      }
    }
    var block = SCSICommandBlock(.read16, byteCount: 16)
    block.set(0x0102_0304_0506_0708 as UInt64, at: 2)
    block.set(0x0A0B_0C0D as UInt32, at: 10)
    #expect(block.uint64(at: 2) == 0x0102_0304_0506_0708 && block.uint32(at: 10) == 0x0A0B_0C0D)
    #expect(block.uint24(at: 3) == 0x020304)
    #expect(block.low == 0x0605_0403_0201_0088)
  }

  @Test func identities() {
    // The bytes that a channel's offer carries: HV_SCSI_GUID and HV_IDE_GUID of include/linux/hyperv.h.
    #expect(StorageController.scsi.classID.low == 0x4D29_04A1_BA61_63D9)
    #expect(StorageController.ide(channel: 0, device: 0).classID.low == 0x44A2_86CB_3241_2632)
    let instance = StorageController.ide(channel: 1, device: 1).instanceID
    // Linux: target = byte 5 << 8 | byte 4.
    #expect(instance.map { $0.low >> 32 & 0xFFFF } == 1)
    #expect(instance.map { $0.low & 0xFFFF_FFFF } == 1)
  }
}

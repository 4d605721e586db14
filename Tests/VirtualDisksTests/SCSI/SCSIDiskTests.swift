// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

@Suite struct SCSIDiskTests {
  @Test(arguments: [512, 4096] as [UInt32]) func readsAndWrites(_ size: UInt32) {
    var disk = SCSIBench.disk(logical: size)
    let at = UInt64(100) * UInt64(size)
    let count = UInt64(8) * UInt64(size)
    let read = DriveRequest(.read, byteOffset: at, byteCount: count)
    let write = DriveRequest(.write(forceUnitAccess: false), byteOffset: at, byteCount: count)
    #expect(disk.requests(of: [0x08, 0, 0, 100, 8, 0]) == [read])
    #expect(disk.requests(of: CDB.read10(100, 8)) == [read])
    #expect(disk.requests(of: [0xA8, 0] + big(100 as UInt32) + big(8 as UInt32) + [0, 0]) == [read])
    #expect(disk.requests(of: CDB.read16(100, 8)) == [read])
    #expect(disk.requests(of: [0x0A, 0, 0, 100, 8, 0]) == [write])
    #expect(disk.requests(of: CDB.write10(100, 8)) == [write])
    #expect(disk.requests(of: [0xAA, 0] + big(100 as UInt32) + big(8 as UInt32) + [0, 0]) == [write])
    #expect(disk.requests(of: CDB.write16(100, 8)) == [write])
    let forced = DriveRequest(.write(forceUnitAccess: true), byteOffset: at, byteCount: count)
    #expect(disk.requests(of: CDB.write10(100, 8, flags: 0x08)) == [forced])
    #expect(disk.run(CDB.read10(100, 8)).outcome == .good(byteCount: 8 * size))
  }

  @Test func sixByteCommandsMean256() {
    var disk = SCSIBench.disk()
    #expect(
      disk.requests(of: [0x08, 0xFF, 0xFF, 0xFF, 0, 0]) == [])
    #expect(disk.requests(of: [0x08, 0, 0, 0, 0, 0]) == [DriveRequest(.read, byteOffset: 0, byteCount: 256 * 512)])
    // The three high bits were once a unit's number.
    #expect(disk.requests(of: [0x08, 0xE0, 0, 1, 1, 0]) == [DriveRequest(.read, byteOffset: 512, byteCount: 512)])
  }

  /// Boundary table of block number and count; nothing overflows.
  @Test(arguments: [512, 4096] as [UInt32]) func endOfTheDisk(_ size: UInt32) {
    let sectors: UInt64 = 5000
    let interesting: [UInt64] = [
      0, 1, 4999, 5000, 5001, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 52, 1 << 63, .max - 1, .max,
    ]
    for block in interesting {
      for count in [0, 1, 2, 255, 256, 257, 2048, 65535, 1 << 31, .max] as [UInt32] {
        var disk = SCSIBench.disk(sectors: sectors, logical: size)
        let answer = disk.run(CDB.read16(block, count))
        let write = disk.run(CDB.write16(block, count))
        let unmap = disk.run(
          CDB.unmap(24), sending: [0, 22, 0, 16, 0, 0, 0, 0] + big(block) + big(count) + [0, 0, 0, 0])
        #expect(answer.outcome == write.outcome)
        if block > sectors || UInt64(count) > sectors - block {
          let expected = SCSIBench.Answer.check(
            .illegalRequest, .blockOutOfRange, information: block)
          #expect(answer == expected && unmap == expected, "\(block) \(count)")
          #expect(disk.requests.isEmpty)
          #expect(
            disk.run(CDB.writeSame16(block, count, flags: 8), sending: Array(repeating: 0, count: 4096)) == expected)
        } else if UInt64(count) * UInt64(size) > 1 << 20 {
          #expect(answer == .invalidField)
        } else {
          #expect(answer.status == .good && answer.outcome.byteCount == count * size)
          #expect(unmap.status == .good)
        }
      }
    }
  }

  @Test func bufferMustHoldTheBlocks() {
    var disk = SCSIBench.disk()
    #expect(disk.run(CDB.read10(0, 8), room: 4095) == .invalid)
    #expect(disk.run(CDB.write10(0, 8), room: 0) == .invalid)
    #expect(disk.requests.isEmpty)
    // More room than blocks: what is moved is said.
    #expect(disk.run(CDB.read10(0, 8), room: 8192).outcome == .good(byteCount: 4096))
  }

  @Test func protectionInformationIsRefused() {
    var disk = SCSIBench.disk()
    for flags in [0x20, 0x40, 0x80, 0xE0] as [UInt8] {
      #expect(disk.run(CDB.read10(0, 8, flags: flags)) == .invalidField)
      #expect(disk.run(CDB.write16(0, 8, flags: flags)) == .invalidField)
      #expect(disk.run([0x2F, flags, 0, 0, 0, 0, 0, 0, 1, 0]) == .invalidField)
    }
  }

  @Test func writeOnReadOnlyDisk() {
    var disk = SCSIBench.disk(readOnly: true)
    let protected = SCSIBench.Answer.check(.dataProtect, .writeProtected)
    let block = Array(repeating: 0 as UInt8, count: 512)
    #expect(disk.run([0x0A, 0, 0, 1, 1, 0]) == protected)
    #expect(disk.run(CDB.write10(0, 8)) == protected)
    #expect(disk.run(CDB.write16(0, 8)) == protected)
    #expect(disk.run(CDB.unmap(24), sending: [0, 22, 0, 16] + Array(repeating: 0, count: 20)) == protected)
    #expect(disk.run(CDB.writeSame16(0, 8, flags: 8), sending: block) == protected)
    #expect(disk.run(CDB.writeSame16(0, 8, flags: 1)) == protected)
    #expect(disk.requests.isEmpty)
    // Reading and flushing are fine, and MODE SENSE says why.
    #expect(disk.run(CDB.read10(0, 8)).status == .good)
    #expect(disk.run([0x35] + Array(repeating: 0, count: 9)) == .good)
    #expect(disk.run([0x1A, 0x08, 0x3F, 0, 255, 0]).data[2] & 0x80 != 0)
  }

  @Test func everyFailureHasItsSense() {
    let failures: [(DriveFailure, SCSIOutcome)] = [
      (.outOfRange, .check(.illegalRequest, .blockOutOfRange, information: 103)),
      (.readFailed, .check(.mediumError, .unrecoveredReadError, information: 103)),
      (.writeFailed, .check(.mediumError, .writeError, information: 103)),
      (.noSpace, .check(.dataProtect, .spaceAllocationFailed)),
      (.readOnly, .check(.dataProtect, .writeProtected)),
      (.mediumAbsent, .check(.notReady, .mediumNotPresent)),
      (.miscompare, .check(.miscompare, .miscompareDuringVerify, information: 103)),
      (.cancelled, .aborted),
      (.badBuffer, .invalid),
      (.broken, .check(.hardwareError, .internalFailure)),
    ]
    for (failure, outcome) in failures {
      var disk = SCSIBench.disk()
      disk.results = [.failure(failure, at: 103 * 512)]
      #expect(disk.run(CDB.read10(100, 8)).outcome == outcome)
      #expect(outcome.byteCount == 0)
    }
    // Where nobody knows the place, it is the first block: nothing of the range is to be believed.
    var disk = SCSIBench.disk()
    disk.results = [.failure(.readFailed)]
    #expect(disk.run(CDB.read10(100, 8)).sense?.information == 100)
    // A block number that does not fit into the fixed format is left out there.
    var large = SCSIBench.disk(sectors: 1 << 36)
    large.results = [.failure(.readFailed)]
    let sense = large.run(CDB.read16(1 << 33, 8)).sense
    #expect(sense == SenseData(.mediumError, .unrecoveredReadError, information: 1 << 33))
    #expect(sense?.low == SenseData(.mediumError, .unrecoveredReadError).low)
  }

  @Test func cacheIsFlushed() {
    var disk = SCSIBench.disk()
    #expect(disk.requests(of: [0x35] + Array(repeating: 0, count: 9)) == [DriveRequest(.flush)])
    #expect(disk.requests(of: [0x91] + Array(repeating: 0, count: 15)) == [DriveRequest(.flush)])
    #expect(disk.run([0x91, 0] + big(UInt64.max) + big(1 as UInt32) + [0, 0]).sense?.additional == .blockOutOfRange)
    // Without a cache there is nothing to do.
    var through = SCSIBench.disk(cache: false)
    #expect(through.requests(of: [0x35] + Array(repeating: 0, count: 9)) == [])
    // Before a stop, too.
    #expect(disk.requests(of: [0x1B, 0, 0, 0, 0, 0]) == [DriveRequest(.flush)])
    #expect(disk.run([0x1B, 0, 0, 0, 1, 0]) == .good)
    #expect(disk.run([0x1B, 0, 0, 0, 2, 0]) == .invalidField)
    #expect(disk.run([0x1E, 0, 0, 0, 1, 0]) == .good)
  }

  @Test func verifies() {
    var disk = SCSIBench.disk()
    let range = DriveRequest(.verify, byteOffset: 512, byteCount: 1024)
    #expect(disk.requests(of: [0x2F, 0] + big(1 as UInt32) + [0, 0, 2, 0]) == [range])
    #expect(disk.requests(of: [0xAF, 0] + big(1 as UInt32) + big(2 as UInt32) + [0, 0]) == [range])
    #expect(disk.requests(of: [0x8F, 0] + big(1 as UInt64) + big(2 as UInt32) + [0, 0]) == [range])
    #expect(disk.run([0x2F, 0] + big(1 as UInt32) + [0, 0, 0, 0]) == .good)
    // With bytes.
    let bytes = Array(repeating: 7 as UInt8, count: 1024)
    #expect(
      disk.requests(of: [0x2F, 2] + big(1 as UInt32) + [0, 0, 2, 0], sending: bytes)
        == [DriveRequest(.compare, byteOffset: 512, byteCount: 1024)])
    #expect(disk.run([0x2F, 2] + big(1 as UInt32) + [0, 0, 2, 0], room: 1023) == .invalid)
    #expect(disk.run([0x2F, 4, 0, 0, 0, 0, 0, 0, 1, 0]) == .invalidField)
    #expect(disk.run([0x2F, 6, 0, 0, 0, 0, 0, 0, 1, 0]) == .invalidField)
    #expect(disk.run([0x8F, 0] + big(1 as UInt64) + big(UInt32.max) + [0, 0]).sense?.additional == .blockOutOfRange)
  }

  @Test func writeSame() {
    var disk = SCSIBench.disk()
    let block = Array(repeating: 0 as UInt8, count: 512)
    #expect(
      disk.requests(of: CDB.writeSame16(8, 16, flags: 0), sending: block)
        == [DriveRequest(.writeSame(mayUnmap: false), byteOffset: 4096, byteCount: 8192)])
    #expect(
      disk.requests(of: CDB.writeSame16(8, 16, flags: 8), sending: block)
        == [DriveRequest(.writeSame(mayUnmap: true), byteOffset: 4096, byteCount: 8192)])
    #expect(
      disk.requests(of: CDB.writeSame16(8, 16, flags: 9))
        == [DriveRequest(.writeZeroes(mayUnmap: true), byteOffset: 4096, byteCount: 8192)])
    #expect(
      disk.requests(of: [0x41, 0] + big(8 as UInt32) + [0, 0, 16, 0], sending: block)
        == [DriveRequest(.writeSame(mayUnmap: false), byteOffset: 4096, byteCount: 8192)])
    // 0 blocks, more than announced, a block that is not there, reserved bits.
    #expect(disk.run(CDB.writeSame16(8, 0, flags: 8), sending: block) == .invalidField)
    #expect(disk.run(CDB.writeSame16(8, (1 << 17) + 1, flags: 8), sending: block) == .invalidField)
    #expect(disk.run(CDB.writeSame16(8, 1, flags: 8), room: 511) == .invalid)
    for flags in [0x10, 0x18, 0x04, 0x02, 0x20] as [UInt8] {
      #expect(disk.run(CDB.writeSame16(8, 1, flags: flags), sending: block) == .invalidField)
    }
    #expect(disk.run([0x41, 1] + big(8 as UInt32) + [0, 0, 16, 0], sending: block) == .invalidField)
    var plain = SCSIBench.disk(granularity: nil)
    #expect(plain.run(CDB.writeSame16(8, 1, flags: 8), sending: block) == .invalidField)
    #expect(plain.run(CDB.writeSame16(8, 1, flags: 0), sending: block).status == .good)
  }

  @Test func refusedCleanly() {
    var disk = SCSIBench.disk()
    // Persistent reservations with any action and key, reservations, ATA pass-through, vendors' own.
    for code in [0x5E, 0x5F, 0x16, 0x17, 0x56, 0x57, 0x85, 0xA1, 0xC0, 0xFF, 0x3B, 0x04, 0xA4] as [UInt8] {
      for action in 0..<32 as Range<UInt8> {
        #expect(disk.run([code, action] + Array(repeating: 0xA5, count: 14)) == .invalidOperation)
      }
    }
  }
}

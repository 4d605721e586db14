// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

@Suite struct SCSIUnmapTests {
  /// A list with these descriptors, whose length fields may lie.
  static func list(_ ranges: [(UInt64, UInt32)], following: UInt16? = nil, descriptors: UInt16? = nil) -> [UInt8] {
    let count = UInt16(truncatingIfNeeded: 16 * ranges.count)
    return big(following ?? count + 6) + big(descriptors ?? count) + [0, 0, 0, 0]
      + ranges.flatMap { big($0.0) + big($0.1) + [0, 0, 0, 0] }
  }

  @Test func rangesAreDiscardedInOrder() {
    var disk = SCSIBench.disk()
    let list = Self.list([(8, 8), (100, 0), (64, 2)])
    #expect(disk.run(CDB.unmap(UInt16(list.count)), sending: list).outcome == .good(byteCount: UInt32(list.count)))
    #expect(
      disk.requests == [
        DriveRequest(.discard, byteOffset: 4096, byteCount: 4096),
        DriveRequest(.discard, byteOffset: 32768, byteCount: 1024),
      ])
  }

  @Test func oneFailureEndsIt() {
    var disk = SCSIBench.disk()
    let list = Self.list([(8, 8), (64, 2), (128, 2)])
    disk.results = [.success, .failure(.writeFailed)]
    #expect(
      disk.run(CDB.unmap(UInt16(list.count)), sending: list)
        == .check(.mediumError, .writeError, information: 64))
    #expect(disk.requests.count == 2)
  }

  @Test func lengthsThatLie() {
    let short = SCSIBench.Answer.check(.illegalRequest, .parameterListLength)
    var disk = SCSIBench.disk()
    let list = Self.list([(8, 8)])
    #expect(disk.run(CDB.unmap(0)) == .good)
    for count in 1..<8 as Range<UInt16> { #expect(disk.run(CDB.unmap(count), sending: list) == short) }
    // Descriptors beyond the list.
    #expect(disk.run(CDB.unmap(8), sending: list) == short)
    #expect(disk.run(CDB.unmap(24), sending: Self.list([(8, 8)], descriptors: .max)) == short)
    #expect(disk.run(CDB.unmap(24), sending: Self.list([(8, 8)], descriptors: 17)) == short)
    // A list beyond the guest's buffer.
    #expect(disk.run(CDB.unmap(.max), sending: list) == .invalid)
    #expect(disk.requests.isEmpty)
    // An incomplete descriptor is ignored.
    #expect(disk.run(CDB.unmap(24), sending: Self.list([(8, 8)], descriptors: 15)).status == .good)
    #expect(disk.requests.isEmpty)
  }

  @Test func tooManyDescriptorsAndBlocks() {
    let refused = SCSIBench.Answer.check(.illegalRequest, .invalidFieldInParameters)
    var disk = SCSIBench.disk(sectors: 1 << 40)
    // As many as a list can say: all overlapping.
    let many = Self.list(Array(repeating: (0, 1), count: 4095))
    #expect(disk.run(CDB.unmap(UInt16(many.count)), sending: many) == refused)
    let most = Self.list(Array(repeating: (0, 1), count: 64))
    #expect(disk.run(CDB.unmap(UInt16(most.count)), sending: most).status == .good)
    #expect(disk.requests.count == 64)
    disk.requests = []
    let large = Self.list([(0, 1 << 22), (0, 1 << 22), (0, 1)])
    #expect(disk.run(CDB.unmap(UInt16(large.count)), sending: large) == refused)
    #expect(disk.requests.isEmpty)
  }

  /// The last one is bad: nothing of the list is carried out.
  @Test func beyondTheEnd() {
    var disk = SCSIBench.disk(sectors: 1000)
    for bad in [(1000, 1), (999, 2), (UInt64.max, 1), (UInt64.max, UInt32.max), (0, 1001)] as [(UInt64, UInt32)] {
      let list = Self.list([(0, 8), bad])
      let answer = disk.run(CDB.unmap(UInt16(list.count)), sending: list)
      #expect(answer == .check(.illegalRequest, .blockOutOfRange, information: bad.0))
    }
    #expect(disk.requests.isEmpty)
  }

  @Test func refusedWhereNothingIsDiscarded() {
    var disk = SCSIBench.disk(granularity: nil)
    #expect(disk.run(CDB.unmap(24), sending: Self.list([(8, 8)])) == .invalidOperation)
    var other = SCSIBench.disk()
    #expect(other.run(CDB.unmap(24, anchor: true), sending: Self.list([(8, 8)])) == .invalidField)
  }
}

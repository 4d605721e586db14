// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import StoreDoubles
import Testing

@testable import VirtualDisks

/// A file that answers late or fails in the middle of a change of metadata: its own drive waits, nobody else does.
@Suite struct SlowFileTests {
  private static let block: UInt64 = 1 << 20

  enum Kind: CaseIterable { case vhd, vhdx }

  private func make(_ kind: Kind) throws -> (FaultStore, any DiskImage) {
    switch kind {
    case .vhd:
      let faults = FaultStore(try VHDBench.make(.dynamic, 32 << 20))
      return (faults, try VHDImage(faults))
    case .vhdx:
      let store = CrashStore()
      try VHDXImage.create(
        .init(kind: .dynamic, virtualByteCount: 32 << 20, blockByteCount: UInt32(Self.block)), in: store)
      let faults = FaultStore(store)
      return (faults, try VHDXImage(opening: faults))
    }
  }

  @Test(arguments: Kind.allCases) func `a change of metadata that takes long keeps no other drive waiting`(
    kind: Kind
  ) throws {
    let (faults, image) = try make(kind)
    let late = DriveQueueTests.drive(image)
    let other = DriveQueueTests.drive(try RawImage.disk(CrashStore(SparseBytes([UInt8](repeating: 0, count: 1 << 20)))))
    let queue = DriveQueue(slots: 8, bell: try DriveBell())
    defer {
      queue.close()
      late.stop()
      other.stop()
    }
    let memory = DriveQueueTests.Memory(1 << 16)
    for effect in [StoreError.Operation.write, .read, .resize] {
      faults.add(.init(effect, times: 1, .delay(milliseconds: 1000)))
    }
    let started = Monotonic.seconds
    // The first request is on a thread, in the middle of a delay; the others want the same metadata.
    for place in 0..<4 {
      let slot = try #require(queue.reserve())
      unsafe queue.append(memory.address(place * 4096), count: 4096, to: slot)
      let operation: DriveOperation = place == 3 ? .read : .write(forceUnitAccess: false)
      queue.start(
        DriveRequest(operation, byteOffset: UInt64(place) * Self.block, byteCount: 4096), on: late, token: 1, in: slot)
      usleep(20_000)
    }
    let slot = try #require(queue.reserve())
    unsafe queue.append(memory.address(0), count: 4096, to: slot)
    queue.start(DriveRequest(.read, byteOffset: 0, byteCount: 4096), on: other, token: 2, in: slot)
    var ended: [UInt64] = []
    while ended.count < 5 {
      while let finished = queue.takeFinished() {
        #expect(finished.result == .success)
        if finished.token == 2 { #expect(Monotonic.seconds - started < 0.6) }
        ended.append(finished.token)
        queue.release(finished.slot)
      }
      if ended.isEmpty {
        // Nor whoever lists the machine's disks.
        #expect(late.information?.virtualByteCount == 32 << 20)
        #expect(Monotonic.seconds - started < 0.6)
      }
      if queue.executing > 0 { _ = queue.step(wait: true) }
    }
    #expect(ended.first == 2)
    #expect(Monotonic.seconds - started >= 1)
    try image.close()
  }

  @Test func `a drive says that its image takes no more writes`() throws {
    let (faults, image) = try make(.vhdx)
    let drive = DriveQueueTests.drive(image)
    let queue = DriveQueue(slots: 2, bell: try DriveBell())
    defer {
      queue.close()
      drive.stop()
    }
    let memory = DriveQueueTests.Memory(4096)
    func run(_ operation: DriveOperation, _ count: UInt64 = 4096) throws -> DriveResult {
      try DriveQueueTests.run(
        queue, DriveRequest(operation, byteOffset: 0, byteCount: count), drive, memory, count > 0 ? [0..<4096] : [])
    }
    #expect(try run(.write(forceUnitAccess: false)) == .success)
    #expect(!drive.isPoisoned)
    faults.add(.init(.flush, times: 1, .fail(.system(errno: EIO))))
    #expect(try run(.flush, 0) == .failure(.writeFailed))
    #expect(drive.isPoisoned)
    #expect(try run(.write(forceUnitAccess: false)) == .failure(.writeFailed))
    #expect(try run(.read) == .success)
    drive.change(medium: nil, characteristics: drive.characteristics)
    #expect(!drive.isPoisoned)
  }

  private enum Monotonic {
    static var seconds: Double {
      var now = timespec()
      unsafe clock_gettime(CLOCK_MONOTONIC, &now)
      return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
  }
}

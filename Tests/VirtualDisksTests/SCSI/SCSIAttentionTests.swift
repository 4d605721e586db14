// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import VirtualDisks

@Suite struct SCSIAttentionTests {
  private static let ready: [UInt8] = [0, 0, 0, 0, 0, 0]

  @Test func saidOnceInOrder() {
    var disk = SCSIBench.disk()
    disk.unit.raise(.resetOccurred)
    disk.unit.raise(.reportedUnitsChanged)
    disk.unit.raise(.resetOccurred)
    #expect(disk.run(Self.ready) == .check(.unitAttention, .resetOccurred))
    #expect(disk.run(CDB.read10(0, 8)) == .check(.unitAttention, .reportedUnitsChanged))
    #expect(disk.requests.isEmpty)
    #expect(disk.run(CDB.read10(0, 8)).status == .good)
  }

  @Test func notByCommandsThatCannotSayIt() {
    var disk = SCSIBench.disk()
    disk.unit.raise(.capacityChanged)
    for command in [
      CDB.inquiry(), CDB.reportUnits(4096), [0x1A, 8, 0x3F, 0, 255, 0], [0x5A, 8, 8, 0, 0, 0, 0, 0, 255, 0],
    ] {
      #expect(disk.run(command).status == .good)
    }
    #expect(disk.run(Self.ready) == .check(.unitAttention, .capacityChanged))
    #expect(disk.run(Self.ready) == .good)
  }

  @Test func requestSenseTakesIt() {
    var disk = SCSIBench.disk()
    disk.unit.raise(.capacityChanged)
    #expect(disk.run([3, 0, 0, 0, 18, 0]).data == [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x2A, 9, 0, 0, 0, 0])
    #expect(disk.run([3, 0, 0, 0, 252, 0]).data == [0x70, 0, 0, 0, 0, 0, 0, 10] + Array(repeating: 0, count: 10))
  }

  @Test func resizeIsSaid() {
    var disk = SCSIBench.disk(sectors: 1000)
    var larger = disk.unit.characteristics
    larger.byteCount = 2000 * 512
    disk.change { $0.update(larger) }
    disk.change { $0.update(larger) }
    #expect(disk.run(CDB.read10(1500, 8)) == .check(.unitAttention, .capacityChanged))
    #expect(disk.run(CDB.read10(1500, 8)).status == .good)
    var smaller = larger
    smaller.byteCount = 100 * 512
    disk.change { $0.update(smaller) }
    #expect(disk.run(Self.ready) == .check(.unitAttention, .capacityChanged))
    #expect(disk.run(CDB.read10(1500, 8)).sense?.additional == .blockOutOfRange)
    var locked = smaller
    locked.isReadOnly = true
    disk.change { $0.update(locked) }
    #expect(disk.run(Self.ready) == .check(.unitAttention, .operatingConditionsChanged))
    #expect(disk.run(CDB.write10(0, 1)) == .check(.dataProtect, .writeProtected))
  }

  @Test func anotherKernelHearsNothingOld() {
    var disk = SCSIBench.disk()
    _ = disk.run([0x15, 0x10, 0, 0, 24, 0], sending: [0, 0, 0, 0, 8, 18] + Array(repeating: 0, count: 18))
    disk.unit.raise(.capacityChanged)
    disk.unit.restart()
    #expect(disk.run(Self.ready) == .good)
    #expect(disk.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[6] == 4)
  }

  @Test func resetKeepsWhatIsStillTrue() {
    var disk = SCSIBench.disk()
    disk.unit.raise(.reportedUnitsChanged)
    disk.unit.raise(.capacityChanged)
    disk.unit.reset()
    #expect(disk.run(Self.ready) == .check(.unitAttention, .capacityChanged))
    #expect(disk.run(Self.ready) == .check(.unitAttention, .resetOccurred))
    #expect(disk.run(Self.ready) == .good)
  }
}

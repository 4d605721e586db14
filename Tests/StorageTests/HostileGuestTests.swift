// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import ServiceClients
import ServiceProviders
import StorageWalk
import Testing
import VMBus
import VirtualDisks

/// What a guest, or the host's owner, does to a controller while requests are under way. Group "Storage" of the hostile
/// inputs, as far as it is about time; single packets are in `HandshakeTests` and `RequestTests`, commands in the tests of
/// the SCSI models.
@Suite struct HostileGuestTests {
  /// A controller with one disk of 64 sectors and a DVD, and a guest that has connected.
  final class Bench {
    let memory = GuestPages(frameCount: 64)
    let host: StorageHost
    let guest: StorageGuest
    private(set) var rings: RingPair

    init(slots: Int = 1024, ringBytes: UInt32 = 1 << 17) {
      host = StorageHost(StorageConfiguration(slotsPerChannel: slots), memory: memory)
      guest = StorageGuest(memory: memory, subChannels: 0)
      host.drives[0] = RAMDrive(byteCount: 64 * 512)
      host.units[0] = .disk(SCSIDisk(Self.disk(64)))
      host.drives[1] = RAMDrive(byteCount: 64 * 2048, sectorSize: 2048)
      host.units[1] = SCSIUnit(.dvd(byteCount: 64 * 2048, identifier: GUID(low: 1, high: 1)))
      rings = RingPair(byteCount: ringBytes)
      connect()
    }

    static func disk(_ sectors: UInt64) -> DriveCharacteristics {
      DriveCharacteristics(byteCount: sectors * 512, discardGranularity: 512, identifier: GUID(low: 0, high: 1))
    }

    func connect() {
      rings = RingPair(byteCount: rings.byteCount)
      host.open(0, rings)
      guest.open(0, rings)
      for _ in 0..<8 where !guest.isReady { turn() }
    }

    /// Each end looks at its ring once; the drives do nothing.
    func turn() {
      host.serve(0, limit: .max)
      guest.receive(0, limit: .max)
    }

    /// One command, and how it ended when it ends at once.
    func send(_ bytes: [UInt8], unit: UInt8 = 0, direction: StorageDirection = .none, byteCount: Int = 0) {
      var block = SCSICommandBlock(low: 0, high: 0, byteCount: bytes.count)
      for (index, byte) in bytes.enumerated() { block[index] = byte }
      guest.send(block, to: unit, direction: direction, byteCount: byteCount)
    }

    func read(_ sector: UInt8, unit: UInt8 = 0) {
      send([0x28, 0, 0, 0, 0, sector, 0, 0, 1, 0], unit: unit, direction: .read, byteCount: unit == 0 ? 512 : 2048)
    }

    /// Everything that is under way ends; the guest's account of how.
    func finish() -> [StorageVerdict] {
      for _ in 0..<1000 where guest.outstanding > 0 {
        turn()
        while !host.pending.isEmpty { host.work(0) }
        turn()
      }
      #expect(guest.problem == nil && host.problem() == nil && guest.owesNothing() == nil)
      return guest.takeVerdicts()
    }

    /// The machine still lives.
    func expectLife() {
      _ = guest.takeVerdicts()
      read(1)
      #expect(finish() == [.success])
    }
  }

  @Test func ejectDuringReads() {
    let bench = Bench()
    for sector in 0..<8 as Range<UInt8> { bench.read(sector, unit: 1) }
    bench.turn()
    #expect(bench.host.pending.count == 8)
    bench.send([0x1B, 0, 0, 0, 2, 0], unit: 1)
    bench.read(9, unit: 1)
    bench.turn()
    #expect(bench.host.ejections == 1)
    // The disc's image is still there for those that had begun.
    let verdicts = bench.finish()
    #expect(verdicts.count(where: { $0 == .success }) == 9)
    #expect(verdicts.contains(.deviceError(.checkCondition, SenseData(.notReady, .mediumNotPresentTrayOpen))))
    bench.expectLife()
  }

  @Test func unitRemovedDuringReads() {
    let bench = Bench()
    for sector in 0..<8 as Range<UInt8> { bench.read(sector) }
    bench.read(3, unit: 1)
    bench.turn()
    bench.host.remove(0)
    bench.read(9)
    bench.turn()
    let verdicts = bench.finish()
    #expect(verdicts.count(where: { $0 == .aborted }) == 8)
    #expect(verdicts.count(where: { $0 == .noUnit }) == 1)
    // Only the one that was removed errs.
    #expect(verdicts.count(where: { $0 == .success }) == 1)
    #expect(bench.guest.rescans == 1)
    bench.host.add(0, .disk(SCSIDisk(Bench.disk(64))))
    bench.expectLife()
  }

  @Test func readyStormAcrossRemoval() {
    let bench = Bench()
    for round in 0..<200 {
      if round % 2 == 0 { bench.host.remove(0) } else { bench.host.add(0, .disk(SCSIDisk(Bench.disk(64)))) }
      for _ in 0..<20 { bench.send([0, 0, 0, 0, 0, 0]) }
      let verdicts = bench.finish()
      #expect(verdicts == Array(repeating: round % 2 == 0 ? .noUnit : .success, count: 20))
    }
    bench.expectLife()
  }

  /// The range is checked where the bytes are, not only where the command was read.
  @Test func diskShrinksDuringReads() {
    let bench = Bench()
    bench.read(60)
    bench.read(1)
    bench.turn()
    bench.host.drives[0]?.bytes.removeLast(32 * 512)
    if case .disk(var disk) = bench.host.units[0] {
      disk.update(Bench.disk(32))
      bench.host.units[0] = .disk(disk)
    }
    #expect(
      bench.finish() == [
        .deviceError(.checkCondition, SenseData(.illegalRequest, .blockOutOfRange, information: 60)), .success,
      ])
    // What follows hears of it, once.
    bench.read(1)
    #expect(
      bench.finish() == [.deviceError(.checkCondition, SenseData(.unitAttention, .capacityChanged))])
    bench.expectLife()
  }

  /// Group "VMBus messages": close with 256 requests in flight, and the kexec loop.
  @Test func closedWithRequestsInFlight() {
    let bench = Bench()
    for _ in 0..<100 {
      for _ in 0..<64 { bench.read(2) }
      bench.turn()
      #expect(bench.host.pending.count == 64)
      bench.host.close(0)
      #expect(bench.host.pending.isEmpty)
      bench.guest.close(0)
      #expect(bench.guest.outstanding == 0)
      bench.connect()
    }
    bench.expectLife()
  }

  @Test func memoryThatTheGuestDoesNotHave() {
    let bench = Bench()
    for frame in [0, 0xB8, 0xFFF, 0x1040, 1 << 40, (1 << 52) - 1, 1 << 52, .max] as [UInt64] {
      bench.guest.send(
        SCSICommandBlock(.read10, byteCount: 10), to: 0, direction: .read, byteCount: 512, at: frame)
      #expect(bench.finish() == [.adapterError(.invalidRequest)])
    }
    bench.expectLife()
  }

  /// More requests than slots: the ring is not read until some are done, and none is lost.
  @Test func moreRequestsThanSlots() {
    let bench = Bench(slots: 8)
    for sector in 0..<60 as Range<UInt8> { bench.read(sector) }
    bench.turn()
    #expect(bench.host.pending.count == 8 && bench.guest.outstanding == 60)
    #expect(bench.finish() == Array(repeating: .success, count: 60))
    bench.expectLife()
  }

  /// Resets one after the other while reads are under way.
  @Test func resetsDuringReads() {
    let bench = Bench()
    for round in 0..<50 {
      for sector in 0..<8 as Range<UInt8> { bench.read(sector) }
      bench.turn()
      bench.guest.reset()
      bench.turn()
      let verdicts = bench.finish()
      // The first of the next round's reads hears of the reset.
      #expect(verdicts.count == 8)
      for _ in 0..<4 { bench.turn() }
      #expect(bench.guest.resets == round + 1)
    }
    bench.read(1)
    _ = bench.finish()
    bench.expectLife()
  }
}

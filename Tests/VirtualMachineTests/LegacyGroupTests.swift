// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import LegacyDevices
import Partition
import Synchronization
import Testing

@testable import VirtualDisks
@testable import VirtualMachine

/// The drives of an IDE controller in the hands of the host, with a guest that accesses ports.
@Suite struct LegacyGroupTests {
  /// A disk at primary-master and a DVD drive at secondary-master, on files of their own.
  final class Rig {
    let folder: URL
    let events = EventLog()
    let group: LegacyGroup

    /// `slave`: another disk, at primary-slave.
    init(dvd: String? = "disc.iso", slave: Bool = false) throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "legacy-group-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      for (name, count) in [
        ("disk.img", 1 << 20), ("slave.img", 1 << 20), ("disc.iso", 64 << 10), ("other.iso", 128 << 10),
      ] {
        try Data(count: count).write(to: folder.appending(path: name))
      }
      var drives = [
        IDEDrive(place: .primaryMaster, disk: DiskConfiguration(path: "\(folder.path)/disk.img", format: .raw)),
        IDEDrive(
          place: .secondaryMaster,
          disk: DiskConfiguration(kind: .dvd, path: dvd.map { "\(folder.path)/\($0)" }, format: dvd.map { _ in .iso })),
      ]
      if slave {
        drives.append(
          IDEDrive(place: .primarySlave, disk: DiskConfiguration(path: "\(folder.path)/slave.img", format: .raw)))
      }
      self.folder = folder
      group = try #require(
        try LegacyGroup.open(
          drives, machine: "test", port: PartitionPort(), opener: FileStoreOpener(), events: events,
          space: SpaceWatch { _, _ in }))
    }

    deinit {
      group.stop()
      try? FileManager.default.removeItem(at: folder)
    }

    func listed(_ place: IDEPlace) throws -> ControlAPI.AttachedDisk {
      ControlAPI.AttachedDisk(try #require(group.list().first { $0.address == .ide(place) }))
    }

    func write(_ port: UInt16, _ bytes: [UInt8], size: Int = 1) {
      unsafe group.storage.portWrite(port, size: size, from: bytes.span.bytes)
    }

    /// One packet command for the secondary master that moves no data.
    func packet(_ bytes: [UInt8]) {
      for (port, value) in [(0x176, 0xA0), (0x171, 0), (0x174, 0), (0x175, 2), (0x177, 0xA0)] as [(UInt16, UInt8)] {
        write(port, [value])
      }
      write(0x170, bytes + Array(repeating: 0, count: 12 - bytes.count), size: 2)
    }
  }

  private func refusal(_ body: () throws(ControlError) -> Void) -> ControlError.Code? {
    do throws(ControlError) {
      try body()
      return nil
    } catch {
      return error.code
    }
  }

  @Test func drivesAreListedByPlace() throws {
    let rig = try Rig()
    #expect(rig.group.list().map(\.address) == [.ide(.primaryMaster), .ide(.secondaryMaster)])
    let disk = try rig.listed(.primaryMaster)
    #expect(disk.interface == .emulated && disk.sizeBytes == 1 << 20 && disk.format == .raw && disk.state == .attached)
    let dvd = try rig.listed(.secondaryMaster)
    #expect(dvd.interface == .emulated && dvd.kind == .dvd && dvd.sizeBytes == 64 << 10 && dvd.readOnly)
  }

  @Test func aDiskHasOneInterfaceAtATime() throws {
    let rig = try Rig()
    #expect(refusal { () throws(ControlError) in try rig.group.resize(.primaryMaster, to: 2 << 20) } == .wrongState)
    #expect(try rig.listed(.primaryMaster).sizeBytes == 1 << 20)
    // A read is handed over, and nobody has begun it: no thread runs here.
    rig.write(0x1F6, [0xE0])
    rig.write(0x1F2, [1])
    rig.write(0x1F7, [0x20])
    #expect(rig.group.storage.figures(.primaryMaster) == LegacyStorage.Figures(requests: 1, refused: 0))
    rig.group.storage.withhold(.primaryMaster)
    #expect(try rig.listed(.primaryMaster).interface == .synthetic)
    #expect(rig.group.storage.takeWaiting() == [])
    rig.write(0x1F7, [0x20])
    rig.write(0x1F7, [0x30])
    #expect(rig.group.storage.figures(.primaryMaster) == LegacyStorage.Figures(requests: 1, refused: 2))
    #expect(rig.group.statistics["ide.primary-master.refused"] == 2)
    try rig.group.resize(.primaryMaster, to: 2 << 20)
    #expect(try rig.listed(.primaryMaster).sizeBytes == 2 << 20)
    try rig.group.resize(.primaryMaster, to: 3 << 19)
    rig.group.storage.giveBack(.primaryMaster)
    #expect(try rig.listed(.primaryMaster).interface == .emulated)
    // The emulated face has the new size: the sector behind the end cannot be read, the last one can.
    for (sector, count) in [(3 << 10, 0), ((3 << 10) - 1, 1)] {
      rig.write(0x1F6, [0xE0])
      rig.write(0x1F2, [1])
      for byte in 0..<3 { rig.write(0x1F3 + UInt16(byte), [UInt8(truncatingIfNeeded: sector >> (byte * 8))]) }
      rig.write(0x1F7, [0x20])
      #expect(rig.group.storage.takeWaiting().count == count)
    }
  }

  /// A guest reads by the emulated disks as fast as it can, while both are taken and given back at any moment. While one is
  /// taken, nothing of it is under way.
  @Test(.timeLimit(.minutes(2))) func takenAtAnyMoment() throws {
    let rig = try Rig(slave: true)
    let storage = rig.group.storage
    try storage.start(try GuestMemory(byteCount: 128 << 20))
    let isOver = Flag()
    let threads = DispatchGroup()
    let read = Counter()
    func run(_ body: @escaping @Sendable () -> Void) {
      threads.enter()
      Thread.detachNewThread {
        body()
        threads.leave()
      }
    }
    // The guest: one processor, one cable, its two drives in turn.
    run {
      var data = [UInt8](repeating: 0, count: 512)
      func write(_ port: UInt16, _ byte: UInt8) { unsafe storage.portWrite(port, size: 1, from: [byte].span.bytes) }
      func status() -> UInt8 {
        var byte: [UInt8] = [0]
        var span = byte.mutableSpan
        var bytes = unsafe span.mutableBytes
        storage.portRead(0x1F7, size: 1, into: &bytes)
        return byte[0]
      }
      var turn = 0
      while !isOver.isSet {
        turn += 1
        write(0x1F6, turn % 2 == 0 ? 0xE0 : 0xF0)
        write(0x1F2, 1)
        write(0x1F3, UInt8(truncatingIfNeeded: turn))
        write(0x1F7, 0x20)
        var now = status()
        // 0, 0xFF: nobody is there.
        while now & 0x80 != 0, now != 0xFF, !isOver.isSet { now = status() }
        if now != 0xFF, now & 0x08 != 0 {
          var span = data.mutableSpan
          var bytes = unsafe span.mutableBytes
          storage.portRead(0x1F0, size: 2, into: &bytes)
          read.add()
        }
      }
    }
    let broken = Counter()
    let takers = DispatchGroup()
    for place in [IDEPlace.primaryMaster, .primarySlave] {
      guard let drive = storage.drives[place.position] else { continue }
      takers.enter()
      run {
        for _ in 0..<300 {
          storage.withhold(place.position)
          let before = storage.figures(place.position).requests
          if drive.executing != 0 { broken.add() }
          usleep(UInt32.random(in: 0...300))
          if drive.executing != 0 || storage.figures(place.position).requests != before { broken.add() }
          storage.giveBack(place.position)
          usleep(UInt32.random(in: 0...300))
        }
        takers.leave()
      }
    }
    takers.wait()
    isOver.set()
    threads.wait()
    #expect(broken.value == 0)
    #expect(read.value > 0)
  }

  private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
  }

  private final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.add(1, ordering: .relaxed) }
  }

  @Test func discsAreChanged() throws {
    let rig = try Rig()
    let (group, other) = (rig.group, "\(rig.folder.path)/other.iso")
    #expect(
      refusal { () throws(ControlError) in try group.insert(other, format: .iso, at: .secondaryMaster) }
        == .alreadyExists)
    // The guest locks the door.
    rig.packet([0x1E, 0, 0, 0, 1])
    #expect(refusal { () throws(ControlError) in try group.eject(.secondaryMaster, force: false) } == .wrongState)
    #expect(try rig.listed(.secondaryMaster).state == .attached)
    try group.eject(.secondaryMaster, force: true)
    let empty = try rig.listed(.secondaryMaster)
    #expect(empty.state == .empty && empty.path == nil && empty.format == nil && empty.sizeBytes == 0)
    #expect(refusal { () throws(ControlError) in try group.eject(.secondaryMaster, force: false) } == .wrongState)
    try group.insert(other, format: .iso, at: .secondaryMaster)
    let full = try rig.listed(.secondaryMaster)
    #expect(full.state == .attached && full.path == other && full.sizeBytes == 128 << 10)
    try group.eject(.secondaryMaster, force: false)
    #expect(try rig.listed(.secondaryMaster).state == .empty)
  }

  @Test func aDiscThatTheGuestEjectsIsLetGo() throws {
    let rig = try Rig()
    rig.packet([0x1B, 0, 0, 0, 2])
    // The image is closed on a thread that may block.
    let end = ContinuousClock.now + .seconds(10)
    while try rig.listed(.secondaryMaster).state != .empty, ContinuousClock.now < end {
      Thread.sleep(forTimeInterval: 0.005)
    }
    #expect(try rig.listed(.secondaryMaster).path == nil)
    let event = rig.events.past(since: 0).last
    #expect(event?.details == ["position": "secondary-master", "change": "ejected"])
    try rig.group.insert("\(rig.folder.path)/disc.iso", format: .iso, at: .secondaryMaster)
    #expect(try rig.listed(.secondaryMaster).state == .attached)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let rig = try Rig(dvd: nil)
    let group = rig.group
    #expect(try rig.listed(.secondaryMaster).state == .empty)
    #expect(refusal { () throws(ControlError) in try group.resize(.secondaryMaster, to: 1 << 20) } == .badRequest)
    #expect(refusal { () throws(ControlError) in try group.resize(.primarySlave, to: 1 << 20) } == .notFound)
    #expect(refusal { () throws(ControlError) in try group.eject(.primaryMaster, force: true) } == .badRequest)
    #expect(
      refusal { () throws(ControlError) in try group.insert("/x.iso", format: .iso, at: .primaryMaster) } == .badRequest
    )
    #expect(
      refusal { () throws(ControlError) in try group.insert("/absent.iso", format: .iso, at: .secondaryMaster) }
        == .input)
    #expect(try rig.listed(.secondaryMaster).state == .empty)
  }
}

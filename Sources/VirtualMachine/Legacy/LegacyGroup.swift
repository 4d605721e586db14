// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import Dispatch
import LegacyDevices
import Partition
import Synchronization
import VMBus
import VMBusHost
import VirtualDisks
import VirtualSwitch

/// What a machine of generation 1 has beside the bus: the drives of its IDE controller, their images, and who serves them;
/// and its emulated network adapters, which `NetworkGroup` plugs in.
///
/// A disk has two faces on one `Drive`, the emulated one on the IDE controller and a synthetic one, which is a channel of
/// the VMBus. While the guest has the channel open, the emulated disk is absent. A DVD drive has the emulated face only.
final class LegacyGroup: Sendable {
  private struct Entry: Sendable {
    var disk: DiskConfiguration
    let drive: Drive
    /// nil for a DVD drive.
    let synthetic: Synthetic?
  }

  private struct Synthetic: Sendable {
    let unit: StorageUnit
    let controller: SCSIController
  }

  let storage: LegacyStorage
  let ports: LegacyPorts
  private let machine: String
  private let events: EventLog
  private let opener: any StoreOpener
  private let space: SpaceWatch
  private let entries: Mutex<[IDEPlace: Entry]>
  /// One change at a time: it opens files and waits for I/O.
  private let changes = Mutex(())
  /// A guest can repeat what fails: each kind of failure of a drive is told once.
  private let told = Mutex<Set<String>>([])

  // MARK: The machine's life

  /// nil for a machine without IDE drives and emulated adapters. After an error nothing is left open.
  static func open(
    _ drives: [IDEDrive], adapters: [NetworkAdapterConfiguration] = [], machine: String, port: PartitionPort,
    opener: any StoreOpener, events: EventLog, space: SpaceWatch
  ) throws(ControlError) -> LegacyGroup? {
    guard !drives.isEmpty || !adapters.isEmpty else { return nil }
    var opened: [IDEPlace: (DiskConfiguration, Drive)] = [:]
    do throws(ControlError) {
      for drive in drives {
        opened[drive.place] = (drive.disk, try open(drive, machine: machine, opener))
      }
      return try LegacyGroup(opened, adapters, machine, port, opener, events, space)
    } catch {
      for (_, drive) in opened.values {
        drive.stop()
        try? drive.medium?.close()
      }
      throw error
    }
  }

  private init(
    _ drives: [IDEPlace: (disk: DiskConfiguration, drive: Drive)], _ adapters: [NetworkAdapterConfiguration],
    _ machine: String, _ port: PartitionPort, _ opener: any StoreOpener, _ events: EventLog, _ space: SpaceWatch
  ) throws(ControlError) {
    self.machine = machine
    self.opener = opener
    self.events = events
    self.space = space
    let storage: LegacyStorage
    do throws(PartitionError) {
      var emulated: [PCIAddress: LegacyAdapter] = [:]
      var all: [LegacyAdapter] = []
      for (index, adapter) in adapters.enumerated() {
        let one = try LegacyAdapter(
          EthernetAddress(rawValue: adapter.address.rawValue), name: adapter.name, index: index)
        emulated[one.slot] = one
        all.append(one)
      }
      let owners = emulated
      storage = try LegacyStorage(
        Dictionary(uniqueKeysWithValues: drives.map { ($0.key.position, $0.value.drive) }),
        functions: emulated.mapValues(\.configuration), configured: { owners[$0]?.configured($1) })
      ports = LegacyPorts(storage, all)
    } catch { throw ControlError(error) }
    self.storage = storage
    var entries: [IDEPlace: Entry] = [:]
    for (place, (disk, drive)) in drives {
      drive.observeSpace(space)
      let synthetic = disk.kind == .disk ? Self.synthetic(place, drive, storage, port, events) : nil
      entries[place] = Entry(disk: disk, drive: drive, synthetic: synthetic)
    }
    self.entries = Mutex(entries)
    storage.observe { [weak self] in self?.handle($0) }
  }

  private static func synthetic(
    _ place: IDEPlace, _ drive: Drive, _ storage: LegacyStorage, _ port: PartitionPort, _ events: EventLog
  ) -> Synthetic? {
    guard let instanceID = place.controller.instanceID else { return nil }
    @Sendable func record(_ interface: ControlAPI.AttachedDisk.Interface) {
      var details = DiskAddress.ide(place).details
      details["change"] = "interface"
      details["interface"] = interface.rawValue
      events.record(
        .disk, "disk \(place.rawValue): the guest has the \(interface.rawValue) interface", details: details)
    }
    let handOver = SCSIController.HandOver {
      storage.withhold(place.position)
      record(.synthetic)
    } giveBack: {
      storage.giveBack(place.position)
      record(.emulated)
    }
    let controller = SCSIController(
      SCSIController.Description(kind: place.controller, instanceID: instanceID), port: port, handOver: handOver
    ) { report in
      guard case .channelBroken(_, let error) = report else { return }
      events.record(
        .refusal, "disk \(place.rawValue): its channel is broken: \(error)", details: DiskAddress.ide(place).details)
    }
    let unit = StorageUnit(number: 0, drive: drive)
    controller.set(unit, at: 0)
    return Synthetic(unit: unit, controller: controller)
  }

  private static func open(
    _ drive: IDEDrive, machine: String, _ opener: any StoreOpener
  ) throws(ControlError) -> Drive {
    let image = try drive.disk.openImage(opener)
    let characteristics = characteristics(drive.disk, image, machine, drive.place)
    guard drive.disk.kind == .dvd || characteristics.logicalSectorSize == 512 else {
      try? image?.close()
      throw ControlError(
        .input,
        "\(drive.disk.path ?? "") has sectors of \(characteristics.logicalSectorSize) bytes, and IDE disks of 512",
        remedy: "attach it to a SCSI controller")
    }
    return Drive(name: drive.place.rawValue, medium: image, characteristics: characteristics)
  }

  private static func characteristics(
    _ disk: DiskConfiguration, _ image: (any DiskImage)?, _ machine: String, _ place: IDEPlace
  ) -> DriveCharacteristics {
    var characteristics = disk.characteristics(of: image, place: "\(machine)/ide/\(place.rawValue)")
    characteristics.serialNumber = serialNumber(characteristics.identifier)
    return characteristics
  }

  /// Sixteen digits: there is room for twenty characters.
  private static func serialNumber(_ identifier: GUID) -> String {
    let digits = String(identifier.low ^ identifier.high, radix: 16, uppercase: true)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Puts the disks' synthetic faces on the bus.
  func offer(on bus: PartitionBus) {
    let entries = entries.withLock { $0 }
    for place in IDEPlace.allCases {
      guard let synthetic = entries[place]?.synthetic else { continue }
      do throws(BusServerError) { try synthetic.controller.offer(on: bus) } catch {
        events.record(
          .disk, "disk \(place.rawValue): its channel was not offered: \(error)",
          details: DiskAddress.ide(place).details)
      }
    }
  }

  /// The machine was reset: what its guest had set is as at the start.
  func resetUnits() {
    for entry in entries.withLock({ $0.values }) { entry.synthetic?.unit.withModel { $0.reset() } }
  }

  /// No processor runs any more, and the bus was reset.
  func stop() {
    changes.withLock { _ in
      ports.stop()
      let entries = entries.withLock { entries in
        defer { entries.removeAll() }
        return entries
      }
      for entry in entries.values {
        entry.drive.stop()
        close(entry.drive.medium, entry.drive.name)
      }
    }
  }

  // MARK: To look at

  func list() -> [AttachedDisk] {
    let entries = entries.withLock { $0 }
    return IDEPlace.allCases.compactMap { place in
      entries[place].map { entry in
        AttachedDisk(
          address: .ide(place), interface: storage.isWithheld(place.position) ? .synthetic : .emulated,
          configuration: entry.disk, drive: entry.drive, waitsForSpace: space.isWaiting(entry.drive))
      }
    }
  }

  /// Of the emulated faces, by name.
  var statistics: [String: UInt64] {
    var counters: [String: UInt64] = ["ide.requests": 0]
    for place in entries.withLock({ Array($0.keys) }) {
      let figures = storage.figures(place.position)
      counters["ide.requests", default: 0] &+= figures.requests
      counters["ide.\(place.rawValue).requests"] = figures.requests
      counters["ide.\(place.rawValue).refused"] = figures.refused
    }
    return counters
  }

  // MARK: Changes, each of which may block

  /// Makes a disk larger or smaller, for a guest that uses its synthetic face.
  func resize(_ place: IDEPlace, to byteCount: UInt64) throws(ControlError) {
    try change { () throws(ControlError) in
      let entry = try entry(place)
      guard let synthetic = entry.synthetic else {
        throw ControlError(.badRequest, "\(place.rawValue) is a DVD drive", remedy: "only disks can be resized")
      }
      guard storage.isWithheld(place.position) else {
        throw ControlError(
          .wrongState, "the guest has \(place.rawValue) as an emulated IDE disk, which cannot change its size",
          remedy: "load hv_storvsc in the guest, or switch the machine off and use `lis disk resize`")
      }
      try synthetic.unit.resize(to: byteCount) { storage.resize(place.position, byteCount: $0) }
      synthetic.controller.announceChange()
    }
  }

  /// Puts a disc into an empty DVD drive.
  func insert(_ path: String, format: ImageFormat?, at place: IDEPlace) throws(ControlError) {
    try change { () throws(ControlError) in
      let entry = try dvd(place)
      guard entry.drive.medium == nil else {
        throw ControlError(.alreadyExists, "\(place.rawValue) has a disc in it", remedy: "eject it first")
      }
      var disk = entry.disk
      disk.path = path
      disk.format = format
      let image = try disk.openImage(opener)
      let new = Self.characteristics(disk, image, machine, place)
      entry.drive.change(medium: image, characteristics: new)
      set(disk, place)
      storage.insertDisc(place.position, byteCount: new.byteCount)
    }
  }

  /// Takes the disc out. A guest that has locked the door is asked to put it out, unless `force`.
  func eject(_ place: IDEPlace, force: Bool) throws(ControlError) {
    try change { () throws(ControlError) in
      let entry = try dvd(place)
      guard entry.drive.medium != nil else {
        throw ControlError(.wrongState, "\(place.rawValue) has no disc in it")
      }
      guard force || storage.requestEject(place.position) else {
        throw ControlError(
          .wrongState, "the guest has locked the drive \(place.rawValue), as it does for a mounted disc; it was asked",
          remedy: "unmount the disc in the guest, or eject with force")
      }
      takeOut(place, entry)
    }
  }

  // MARK: Parts of changes

  private func change<R>(_ body: () throws(ControlError) -> R) throws(ControlError) -> R {
    try changes.withLock { _ throws(ControlError) in try body() }
  }

  private func entry(_ place: IDEPlace) throws(ControlError) -> Entry {
    guard let entry = entries.withLock({ $0[place] }) else { throw ControlError.noDisk(at: .ide(place)) }
    return entry
  }

  private func dvd(_ place: IDEPlace) throws(ControlError) -> Entry {
    let found = try entry(place)
    guard found.disk.kind == .dvd else {
      throw ControlError(.badRequest, "\(place.rawValue) is a disk", remedy: "name a DVD drive")
    }
    return found
  }

  private func set(_ disk: DiskConfiguration, _ place: IDEPlace) { entries.withLock { $0[place]?.disk = disk } }

  /// The disc is out, as far as the guest is concerned: lets go of its image.
  private func takeOut(_ place: IDEPlace, _ entry: Entry) {
    storage.removeDisc(place.position)
    let image = entry.drive.medium
    var empty = entry.drive.characteristics
    empty.byteCount = 0
    entry.drive.change(medium: nil, characteristics: empty)
    entry.drive.drain()
    close(image, entry.drive.name)
    var disk = entry.disk
    disk.path = nil
    disk.format = nil
    set(disk, place)
  }

  private func close(_ image: (any DiskImage)?, _ drive: String) {
    do throws(ImageError) { try image?.close() } catch {
      events.record(.disk, "\(drive): closing failed: \(error)", details: ["position": drive])
    }
  }

  // MARK: From the emulated drives

  private func handle(_ report: LegacyReport) {
    switch report {
    case .failed(let position, let failure, let at):
      let place = IDEPlace(position)
      guard told.withLock({ $0.insert("\(place.rawValue) \(failure)").inserted }) else { return }
      var details = DiskAddress.ide(place).details
      details["error"] = "\(failure)"
      events.record(
        .disk,
        "disk \(place.rawValue): a request failed\(at.map { " at byte \($0)" } ?? ""): \(failure) "
          + "(later ones are not told)", details: details)
    case .ejected(let position):
      let place = IDEPlace(position)
      var details = DiskAddress.ide(place).details
      details["change"] = "ejected"
      events.record(.disk, "disk \(place.rawValue): the guest ejected the disc", details: details)
      // Not here, which is a processor's thread.
      DispatchQueue.global().async { [self] in
        changes.withLock { _ in
          guard let entry = entries.withLock({ $0[place] }), entry.drive.medium != nil else { return }
          takeOut(place, entry)
        }
      }
    }
  }
}

extension IDEPlace {
  var position: IDEPosition {
    switch self {
    case .primaryMaster: .primaryMaster
    case .primarySlave: .primarySlave
    case .secondaryMaster: .secondaryMaster
    case .secondarySlave: .secondarySlave
    }
  }

  init(_ position: IDEPosition) { self = Self.allCases[position.index] }

  /// What the disk there is on the bus.
  var controller: StorageController {
    .ide(channel: UInt8(position.channel), device: UInt8(position.unit))
  }
}

// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import Dispatch
import Partition
import Synchronization
import VMBus
import VMBusHost
import VirtualDisks

/// Every disk and DVD drive of a machine, on its SCSI controllers.
///
/// What changes it opens files and waits for I/O: one change at a time, on threads that may block. Looking at it never
/// waits for a change.
final class StorageGroup: Sendable {
  /// Where a unit is.
  struct Place: Hashable, Comparable, Sendable {
    var controller: Int
    var unit: UInt8

    static func < (left: Place, right: Place) -> Bool {
      (left.controller, left.unit) < (right.controller, right.unit)
    }
  }

  private struct Entry: Sendable {
    var configuration: DiskConfiguration
    var unit: StorageUnit
  }

  private struct State {
    var controllers: [Int: SCSIController] = [:]
    var entries: [Place: Entry] = [:]
    var isStopped = false
  }

  private let name: String
  private let processors: Int
  private let port: PartitionPort
  private let bus = AtomicLazyReference<PartitionBus>()
  private let events: EventLog
  private let opener: any StoreOpener
  private let space: SpaceWatch
  private let state = Mutex(State())
  private let changes = Mutex(())

  init(
    machine name: String, processors: Int, port: PartitionPort, events: EventLog,
    opener: any StoreOpener, space: SpaceWatch
  ) {
    self.name = name
    self.processors = processors
    self.port = port
    self.events = events
    self.opener = opener
    self.space = space
  }

  // MARK: The machine's life

  /// Opens every image; nothing is offered yet. After an error nothing is left open.
  func open(_ disks: [DiskConfiguration]) throws(ControlError) {
    do throws(ControlError) {
      for disk in disks { try put(disk) }
    } catch {
      stop()
      throw error
    }
  }

  /// Puts the controllers on the bus.
  func offer(on bus: PartitionBus) {
    _ = self.bus.storeIfNil(bus)
    let controllers = state.withLock { $0.controllers }
    for number in controllers.keys.sorted() {
      if let controller = controllers[number] { offer(controller, number, on: bus) }
    }
  }

  private func offer(_ controller: SCSIController, _ number: Int, on bus: PartitionBus) {
    do throws(BusServerError) {
      try controller.offer(on: bus)
    } catch {
      events.record(.disk, "SCSI controller \(number) not offered: \(error)", details: ["controller": "\(number)"])
    }
  }

  /// The guest is about to be reset or ended: nothing of it waits for space any more.
  func giveUpWaiting() {
    for entry in state.withLock({ $0.entries.values }) { entry.unit.drive.giveUpWaiting() }
  }

  /// The machine was reset: what its guest had set is as at the start, doors are unlocked.
  func resetUnits() {
    for entry in state.withLock({ $0.entries.values }) { entry.unit.withModel { $0.reset() } }
  }

  /// Ends every drive and closes every image. The bus was reset before, so that no request is under way.
  func stop() {
    changes.withLock { _ in
      let entries = state.withLock { state in
        state.isStopped = true
        defer { state.entries.removeAll() }
        return state.entries
      }
      for (_, entry) in entries {
        entry.unit.drive.stop()
        close(entry.unit.drive.medium, entry.unit.drive.name)
      }
    }
  }

  // MARK: To look at

  func list() -> [AttachedDisk] {
    state.withLock { $0.entries }.sorted { $0.key < $1.key }.map { place, entry in
      AttachedDisk(
        address: place.address, configuration: entry.configuration, drive: entry.unit.drive,
        waitsForSpace: space.isWaiting(entry.unit.drive))
    }
  }

  // MARK: Changes, each of which may block

  /// Adds a disk or a DVD drive, in the lowest free place of its controller unless it names one.
  func add(_ disk: DiskConfiguration) throws(ControlError) -> AttachedDisk {
    try change { () throws(ControlError) in
      guard !(state.withLock { $0.isStopped }) else { throw ControlError(.wrongState, "the machine has ended") }
      let place = try put(disk)
      guard let attached = list().first(where: { $0.address == place.address }) else {
        throw ControlError(.wrongState, "the machine has ended")
      }
      return attached
    }
  }

  /// Takes a unit away. The guest's requests to it fail from now on; those under way end first.
  func remove(controller: Int, unit: Int) throws(ControlError) {
    try change { () throws(ControlError) in
      let (place, entry) = try entry(controller, unit)
      entry.unit.drive.remove()
      state.withLock { $0.controllers[controller] }?.set(nil, at: place.unit)
      entry.unit.drive.drain()
      entry.unit.drive.stop()
      close(entry.unit.drive.medium, entry.unit.drive.name)
      state.withLock { $0.entries[place] = nil }
    }
  }

  /// Makes a disk larger or smaller, for the guest at once.
  func resize(controller: Int, unit: Int, to byteCount: UInt64) throws(ControlError) {
    try change { () throws(ControlError) in
      let (place, entry) = try entry(controller, unit)
      guard entry.configuration.kind == .disk else {
        throw ControlError(.badRequest, "\(place.text) is a DVD drive", remedy: "only disks can be resized")
      }
      try entry.unit.resize(to: byteCount)
      state.withLock { $0.controllers[controller] }?.announceChange()
    }
  }

  /// Puts a disc into an empty DVD drive.
  func insert(_ path: String, format: ImageFormat?, controller: Int, unit: Int) throws(ControlError) {
    try change { () throws(ControlError) in
      var (place, entry) = try dvd(controller, unit)
      guard entry.unit.drive.medium == nil else {
        throw ControlError(.alreadyExists, "\(place.text) has a disc in it", remedy: "eject it first")
      }
      entry.configuration.path = path
      entry.configuration.format = format
      let image = try entry.configuration.openImage(opener)
      let new = entry.configuration.characteristics(of: image, place: text(place))
      entry.unit.drive.change(medium: image, characteristics: new)
      entry.unit.withModel { model in
        guard case .dvd(var dvd) = model else { return }
        dvd.insert(byteCount: new.byteCount)
        model = .dvd(dvd)
      }
      let configuration = entry.configuration
      state.withLock { state in
        state.entries[place]?.configuration = configuration
        state.controllers[controller]?.announceChange()
      }
    }
  }

  /// Takes the disc out. A guest that has locked the door is asked to put it out, unless `force`.
  func eject(controller: Int, unit: Int, force: Bool) throws(ControlError) {
    try change { () throws(ControlError) in
      let (place, entry) = try dvd(controller, unit)
      guard entry.unit.drive.medium != nil else {
        throw ControlError(.wrongState, "\(place.text) has no disc in it")
      }
      let isOut = entry.unit.withModel { model in
        guard case .dvd(var dvd) = model else { return true }
        defer { model = .dvd(dvd) }
        if force { dvd.removeDisc() } else { return dvd.requestEject() }
        return true
      }
      guard isOut else {
        state.withLock { $0.controllers[controller] }?.announceChange()
        throw ControlError(
          .wrongState, "the guest has locked the drive \(place.text), as it does for a mounted disc; it was asked",
          remedy: "unmount the disc in the guest, or eject with force")
      }
      takeOut(entry.unit, place)
    }
  }

  // MARK: Parts of changes

  private func change<R>(_ body: () throws(ControlError) -> R) throws(ControlError) -> R {
    try changes.withLock { _ throws(ControlError) in try body() }
  }

  private func entry(_ controller: Int, _ unit: Int) throws(ControlError) -> (Place, Entry) {
    guard let number = UInt8(exactly: unit) else { throw ControlError(.notFound, "no unit \(unit)") }
    let place = Place(controller: controller, unit: number)
    guard let entry = state.withLock({ $0.entries[place] }) else {
      throw ControlError(.notFound, "nothing is at \(place.text)", remedy: "see what there is with `lis vm disk list`")
    }
    return (place, entry)
  }

  private func dvd(_ controller: Int, _ unit: Int) throws(ControlError) -> (Place, Entry) {
    let found = try entry(controller, unit)
    guard found.1.configuration.kind == .dvd else {
      throw ControlError(.badRequest, "\(found.0.text) is a disk", remedy: "name a DVD drive")
    }
    return found
  }

  /// Opens the image and puts the unit on its controller, which is made and offered when it is the first there.
  @discardableResult
  private func put(_ disk: DiskConfiguration) throws(ControlError) -> Place {
    var disk = disk
    let place = try place(for: disk)
    disk.unit = Int(place.unit)
    let image = try disk.openImage(opener)
    let drive = Drive(
      name: "scsi\(place.controller):\(place.unit)", medium: image,
      characteristics: disk.characteristics(of: image, place: text(place)))
    drive.observeSpace(space)
    let unit = StorageUnit(number: place.unit, drive: drive)
    let (controller, isNew) = state.withLock { state in
      state.entries[place] = Entry(configuration: disk, unit: unit)
      if let controller = state.controllers[place.controller] { return (controller, false) }
      let controller = makeController(place.controller)
      state.controllers[place.controller] = controller
      return (controller, true)
    }
    controller.set(unit, at: place.unit)
    if isNew, let bus = bus.load() { offer(controller, place.controller, on: bus) }
    return place
  }

  private func place(for disk: DiskConfiguration) throws(ControlError) -> Place {
    guard DiskConfiguration.controllers.contains(disk.controller) else {
      throw ControlError(
        .badRequest, "controller \(disk.controller)",
        remedy: "give \(DiskConfiguration.controllers.lowerBound) to \(DiskConfiguration.controllers.upperBound)")
    }
    let taken = state.withLock { $0.entries }
    if let unit = disk.unit {
      guard let number = UInt8(exactly: unit), DiskConfiguration.units.contains(unit) else {
        throw ControlError(
          .badRequest, "unit \(unit)",
          remedy: "give \(DiskConfiguration.units.lowerBound) to \(DiskConfiguration.units.upperBound)")
      }
      let place = Place(controller: disk.controller, unit: number)
      guard taken[place] == nil else {
        throw ControlError(.alreadyExists, "\(place.text) is in use", remedy: "choose another LUN, or remove that one")
      }
      return place
    }
    for number in DiskConfiguration.units {
      let place = Place(controller: disk.controller, unit: UInt8(number))
      if taken[place] == nil { return place }
    }
    throw ControlError(.wrongState, "controller \(disk.controller) is full", remedy: "use another controller")
  }

  private func makeController(_ number: Int) -> SCSIController {
    SCSIController(
      SCSIController.Description(
        kind: .scsi, instanceID: .scsiController(number),
        maximumSubChannels: UInt16(processors - 1)),
      port: port, bus: { [weak self] in self?.bus.load() },
      report: { [weak self] in self?.handle($0, controller: number) })
  }

  private func text(_ place: Place) -> String { "\(name)/scsi\(place.controller)/\(place.unit)" }

  /// The disc is out, as far as the guest is concerned: lets go of its image.
  private func takeOut(_ unit: StorageUnit, _ place: Place) {
    let image = unit.drive.medium
    unit.drive.change(medium: nil, characteristics: .dvd(identifier: unit.drive.characteristics.identifier))
    unit.drive.drain()
    close(image, unit.drive.name)
    state.withLock { state in
      state.entries[place]?.configuration.path = nil
      state.entries[place]?.configuration.format = nil
      state.controllers[place.controller]?.announceChange()
    }
  }

  private func close(_ image: (any DiskImage)?, _ drive: String) {
    do throws(ImageError) {
      try image?.close()
    } catch {
      events.record(.disk, "\(drive): closing failed: \(error)", details: ["disk": drive])
    }
  }

  // MARK: From the drives and the channels

  private func handle(_ report: StorageReport, controller: Int) {
    switch report {
    case .ejected(let unit):
      let place = Place(controller: controller, unit: unit.number)
      events.record(.disk, "\(place.text): the guest ejected the disc", details: place.details)
      // Not here: the channel's thread must end the requests that are waited for.
      DispatchQueue.global().async { [self] in changes.withLock { _ in takeOut(unit, place) } }
    case .channelBroken(let index, let error):
      events.record(
        .refusal, "SCSI controller \(controller): channel \(index) is broken: \(error)",
        details: ["controller": "\(controller)"])
    case .subChannelNotOffered(let error):
      events.record(
        .disk, "SCSI controller \(controller): a sub-channel was not offered: \(error)",
        details: ["controller": "\(controller)"])
    }
  }
}

extension StorageGroup.Place {
  var text: String { "controller \(controller), LUN \(unit)" }
  var address: DiskAddress { .scsi(controller: controller, lun: Int(unit)) }
  var details: [String: String] { address.details }
}

// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import LegacyDevices
import Partition
import Synchronization
import VMBus
import VirtualDisks

/// The drives of a machine's IDE controller: opens and closes their images, and tells the machine what happens to them.
final class LegacyGroup: DriveSpaceObserver {
  let storage: LegacyStorage
  private let events: EventLog
  private let spaceChanged: @Sendable (_ isShort: Bool, _ drive: String) -> Void
  private let waitingForSpace = Mutex<Set<String>>([])

  /// nil for a machine without IDE drives. After an error nothing is left open.
  static func open(
    _ drives: [IDEDrive], machine: String, opener: any StoreOpener, events: EventLog,
    spaceChanged: @escaping @Sendable (_ isShort: Bool, _ drive: String) -> Void
  ) throws(ControlError) -> LegacyGroup? {
    guard !drives.isEmpty else { return nil }
    var opened: [IDEPosition: Drive] = [:]
    do throws(ControlError) {
      for drive in drives { opened[drive.place.position] = try open(drive, machine: machine, opener) }
      return try LegacyGroup(opened, events, spaceChanged)
    } catch {
      for drive in opened.values {
        drive.stop()
        try? drive.medium?.close()
      }
      throw error
    }
  }

  private init(
    _ drives: [IDEPosition: Drive], _ events: EventLog,
    _ spaceChanged: @escaping @Sendable (_ isShort: Bool, _ drive: String) -> Void
  ) throws(ControlError) {
    self.events = events
    self.spaceChanged = spaceChanged
    // A guest can repeat what fails: each kind of failure of a drive is told once.
    let told = Mutex<Set<String>>([])
    do throws(PartitionError) {
      storage = try LegacyStorage(drives) { report in
        switch report {
        case .failed(let position, let failure, let at):
          let name = IDEPlace(position).rawValue
          guard told.withLock({ $0.insert("\(name) \(failure)").inserted }) else { return }
          let place = at.map { " at byte \($0)" } ?? ""
          events.record(
            .disk, "\(name): a request failed\(place): \(failure) (later ones are not told)",
            details: ["disk": name, "error": "\(failure)"])
        case .ejected(let position):
          let name = IDEPlace(position).rawValue
          events.record(.disk, "\(name): the guest ejected the disc", details: ["disk": name])
        }
      }
    } catch { throw ControlError(error) }
    for drive in drives.values { drive.observeSpace(self) }
  }

  private static func open(
    _ drive: IDEDrive, machine: String, _ opener: any StoreOpener
  ) throws(ControlError) -> Drive {
    let name = drive.place.rawValue
    let disk = drive.disk
    var image: (any DiskImage)?
    if let path = disk.path {
      do throws(ImageError) { image = try ImageChain.open(path, disk.imageOptions, opener: opener).image } catch {
        throw ControlError(error)
      }
    }
    let information = image?.information
    let identifier = information?.diskIdentifier ?? .derived(from: "\(machine)/ide/\(name)")
    guard disk.kind == .disk, let information else {
      let disc = DriveCharacteristics.dvd(
        byteCount: information?.virtualByteCount ?? 0, serialNumber: serialNumber(identifier), identifier: identifier)
      return Drive(name: name, medium: image, characteristics: disc)
    }
    guard information.logicalSectorByteCount == 512 else {
      try? image?.close()
      throw ControlError(
        .input, "\(disk.path ?? "") has sectors of \(information.logicalSectorByteCount) bytes, and IDE disks of 512",
        remedy: "attach it to a SCSI controller")
    }
    let characteristics = DriveCharacteristics(
      byteCount: information.virtualByteCount, physicalSectorSize: information.physicalSectorByteCount,
      isReadOnly: information.isReadOnly, hasWriteCache: disk.hasWriteCache,
      discardGranularity: information.canDiscard && !information.isReadOnly ? information.blockByteCount ?? 4096 : nil,
      serialNumber: serialNumber(identifier), identifier: identifier)
    return Drive(name: name, medium: image, characteristics: characteristics)
  }

  /// Sixteen digits: there is room for twenty characters.
  private static func serialNumber(_ identifier: GUID) -> String {
    let digits = String(identifier.low ^ identifier.high, radix: 16, uppercase: true)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// No processor runs any more.
  func stop() {
    storage.stop()
    for drive in storage.drives.values {
      drive.stop()
      do throws(ImageError) { try drive.medium?.close() } catch {
        events.record(.disk, "\(drive.name): closing failed: \(error)", details: ["disk": drive.name])
      }
    }
  }

  func driveWaitsForSpace(_ drive: Drive) {
    let isFirst = waitingForSpace.withLock { $0.insert(drive.name).inserted && $0.count == 1 }
    if isFirst { spaceChanged(true, drive.name) }
  }

  func driveHasSpace(_ drive: Drive) {
    let isLast = waitingForSpace.withLock { $0.remove(drive.name) != nil && $0.isEmpty }
    if isLast { spaceChanged(false, drive.name) }
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
}

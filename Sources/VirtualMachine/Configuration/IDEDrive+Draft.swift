// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import VirtualDisks

extension IDEDrive {
  private enum Key: String, CaseIterable {
    case path, format, position
    case readOnly = "read-only"
    case cache, dvd
  }

  /// All of a machine: those whose place is given first, then each of the others in the first that is free, DVD drives on
  /// the second cable first.
  static func finish(_ drafts: [DeviceDraft]) throws(ConfigurationError) -> [IDEDrive] {
    var all: [(disk: DiskConfiguration, place: IDEPlace?, draft: DeviceDraft)] = []
    for draft in drafts {
      all.append((try disk(draft), try draft.choice(Key.position.rawValue, of: IDEPlace.allCases), draft))
    }
    var taken: [IDEPlace: String] = [:]
    for (disk, place, draft) in all {
      guard let place else { continue }
      if let other = taken.updateValue(name(disk, draft), forKey: place) {
        throw ConfigurationError(
          source: draft.settings[Key.position.rawValue]?.source ?? draft.source,
          "\(place.rawValue) is taken by \(other)", remedy: "give each drive a place of its own, or none")
      }
    }
    for index in all.indices where all[index].place == nil {
      let (disk, _, draft) = all[index]
      let order: [IDEPlace] =
        disk.kind == .dvd ? [.secondaryMaster, .secondarySlave, .primarySlave, .primaryMaster] : IDEPlace.allCases
      guard let free = order.first(where: { taken[$0] == nil }) else {
        throw ConfigurationError(
          source: draft.source, "an IDE controller has room for \(IDEPlace.allCases.count) drives",
          remedy: "attach the others to a SCSI controller")
      }
      all[index].place = free
      taken[free] = name(disk, draft)
    }
    return all.compactMap { drive in drive.place.map { IDEDrive(place: $0, disk: drive.disk) } }
  }

  private static func disk(_ draft: DeviceDraft) throws(ConfigurationError) -> DiskConfiguration {
    try draft.checkKeys(Key.allCases.map(\.rawValue), what: "an IDE drive")
    let kind: DiskConfiguration.Kind = try draft.isOn(Key.dvd.rawValue) ?? false ? .dvd : .disk
    let path = draft.settings[Key.path.rawValue]
    let isEmpty = kind == .dvd && (path == nil || path?.text == DiskConfiguration.emptyDrive)
    guard isEmpty || path.map({ !$0.text.isEmpty }) == true else {
      throw ConfigurationError(source: draft.source, "an IDE disk without a file", remedy: "give its path, or dvd")
    }
    var disk = DiskConfiguration(
      kind: kind, path: isEmpty ? nil : path?.text,
      format: try draft.choice(Key.format.rawValue, of: kind == .disk ? [ImageFormat.raw, .vhd, .vhdx] : [.iso]),
      isReadOnly: try draft.isOn(Key.readOnly.rawValue) ?? false,
      hasWriteCache: try draft.isOn(Key.cache.rawValue) ?? true)
    do throws(ControlError) { try disk.settle() } catch {
      throw ConfigurationError(source: path?.source ?? draft.source, error.message, remedy: error.remedy)
    }
    return disk
  }

  private static func name(_ disk: DiskConfiguration, _ draft: DeviceDraft) -> String {
    "\(disk.path ?? "an empty DVD drive") (\(draft.source))"
  }
}

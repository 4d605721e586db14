// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import VirtualDisks

/// From the user's texts, and what is refused.
extension DiskConfiguration {
  private enum Key: String, CaseIterable {
    case path = "path"
    case format, controller, lun
    case readOnly = "read-only"
    case cache, sector
  }

  /// In place of a path, for a DVD drive without a disc.
  static let emptyDrive = "empty"

  public var address: DiskAddress { DiskAddress(controller: controller, lun: unit ?? 0) }

  /// All of a machine, each in its place: those whose LUN is given first, then each of the others on the lowest that is
  /// free, disks before DVD drives.
  static func finish(disks: [DeviceDraft], dvds: [DeviceDraft]) throws(ConfigurationError) -> [DiskConfiguration] {
    let drafts = disks.map { (Kind.disk, $0) } + dvds.map { (Kind.dvd, $0) }
    var all: [(disk: DiskConfiguration, draft: DeviceDraft)] = []
    for (kind, draft) in drafts { all.append((try DiskConfiguration(draft, kind), draft)) }
    var taken: [DiskAddress: String] = [:]
    for (disk, draft) in all where disk.unit != nil {
      if let other = taken.updateValue(disk.name(draft), forKey: disk.address) {
        throw ConfigurationError(
          source: draft.settings[Key.lun.rawValue]?.source ?? draft.source,
          "LUN \(disk.unit ?? 0) of controller \(disk.controller) is taken by \(other)",
          remedy: "give each disk a LUN of its own, or none")
      }
    }
    for index in all.indices where all[index].disk.unit == nil {
      let (disk, draft) = all[index]
      let free = units.first { taken[DiskAddress(controller: disk.controller, lun: $0)] == nil }
      guard let free else {
        throw ConfigurationError(
          source: draft.source, "controller \(disk.controller) has no LUN left for \(disk.name(draft))",
          remedy: "use another of the controllers 0 to \(controllers.upperBound)")
      }
      all[index].disk.unit = free
      taken[all[index].disk.address] = disk.name(draft)
    }
    var files: [String: (isReadOnly: Bool, source: String)] = [:]
    for (disk, draft) in all {
      guard let path = disk.path else { continue }
      if let other = files.updateValue((disk.isReadOnly, draft.source), forKey: path) {
        guard disk.isReadOnly, other.isReadOnly else {
          throw ConfigurationError(
            source: draft.source, "\(path) is attached twice (\(other.source))",
            remedy: "two disks can share a file only when both are read-only")
        }
      }
    }
    return all.map(\.disk)
  }

  init(_ draft: DeviceDraft, _ kind: Kind) throws(ConfigurationError) {
    let keys: [Key] = kind == .disk ? Key.allCases : [.path, .format, .controller, .lun]
    try draft.checkKeys(keys.map(\.rawValue), what: kind == .disk ? "a disk" : "a DVD drive")
    let path = draft.settings[Key.path.rawValue]
    let isEmpty = kind == .dvd && (path == nil || path?.text == Self.emptyDrive)
    guard let file = path?.text ?? (isEmpty ? "" : nil), isEmpty || !file.isEmpty else {
      throw ConfigurationError(source: draft.source, "a disk without a file", remedy: "give its path")
    }
    self.init(
      kind: kind, path: isEmpty ? nil : file,
      format: try draft.choice(Key.format.rawValue, of: kind == .disk ? [ImageFormat.raw, .vhd, .vhdx] : [.iso]),
      controller: try draft.number(Key.controller.rawValue, in: Self.controllers) ?? 0,
      unit: try draft.number(Key.lun.rawValue, in: Self.units),
      isReadOnly: try draft.isOn(Key.readOnly.rawValue) ?? false,
      hasWriteCache: try draft.isOn(Key.cache.rawValue) ?? true)
    if let sector = draft.settings[Key.sector.rawValue] {
      guard let size = ByteCount(sector.text), size.rawValue == 512 || size.rawValue == 4096 else {
        throw ConfigurationError(
          source: sector.source, "sector cannot be \"\(sector.text)\"", remedy: "use 512 or 4096")
      }
      sectorByteCount = UInt32(size.rawValue)
    }
    do throws(ControlError) {
      try settle()
    } catch {
      let place = path ?? DeviceDraft.Setting("", draft.source)
      throw ConfigurationError(source: place.source, error.message, remedy: error.remedy)
    }
  }

  /// Fills in the format and checks what belongs together.
  mutating func settle() throws(ControlError) {
    guard let path else { return }
    let named = ImageFormat(fileName: path)
    switch kind {
    case .dvd:
      guard format == .iso || named == nil || named == .iso else {
        throw ControlError(
          .input, "\(path) is a \(named?.rawValue ?? "") image by its name, and a DVD drive takes ISO images",
          remedy: "attach it as a disk, or give the format iso if it is one")
      }
      format = .iso
    case .disk:
      guard let format = format ?? named else {
        throw ControlError(
          .input, "the name of \(path) does not tell its format", remedy: "give the format: raw, vhd or vhdx")
      }
      guard format != .iso else {
        throw ControlError(
          .input, "\(path) is an ISO image", remedy: "attach it as a DVD, or give the format raw")
      }
      guard sectorByteCount == nil || format == .raw else {
        throw ControlError(
          .input, "\(path) is a \(format.rawValue) image, which says its sector size itself",
          remedy: "give a sector size for raw images only")
      }
      self.format = format
    }
  }

  private func name(_ draft: DeviceDraft) -> String { "\(path ?? "an empty DVD drive") (\(draft.source))" }
}

// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import Dispatch
import VirtualDisks

/// Disks and DVD drives while the machine runs.
extension VirtualMachine {
  /// Changes wait for I/O, a guest's or a host's, so they have threads of their own: a machine whose disk hangs can be
  /// switched off. The groups make them one at a time.
  private static let deviceQueue = DispatchQueue(label: "swift-lis.devices", attributes: .concurrent)

  public func disks() async throws(ControlError) -> [ControlAPI.AttachedDisk] {
    attachedDisks().map { ControlAPI.AttachedDisk($0) }
  }

  /// By controller and LUN, then those of IDE.
  func attachedDisks() -> [AttachedDisk] { storage.list() + (legacy?.list() ?? []) }

  public func addDisk(_ request: DiskRequest) async throws(ControlError) -> ControlAPI.AttachedDisk {
    let disk = try DiskConfiguration(request)
    // The image's lock would refuse it, too, but not say where it is.
    if let other = attachedDisks().first(where: { $0.configuration.path == disk.path }), let path = disk.path,
      !disk.isReadOnly || !other.configuration.isReadOnly
    {
      throw ControlError(
        .busy, "\(path) is attached already, at \(other.address)",
        remedy: "two disks can share a file only when both are read-only")
    }
    let added = ControlAPI.AttachedDisk(
      try await change { [storage] () throws(ControlError) in try storage.add(disk) })
    let what = added.kind == .dvd ? "a DVD drive" : added.path ?? "a disk"
    record("added", added.address, "\(what) added", path: added.path)
    return added
  }

  public func removeDisk(at address: DiskAddress) async throws(ControlError) {
    let old = try disk(at: address)
    switch address {
    case .scsi(let controller, let lun):
      try await change { [storage] () throws(ControlError) in try storage.remove(controller: controller, unit: lun) }
    case .ide:
      throw ControlError(
        .wrongState, "\(address) is on the IDE controller, whose drives stay while the machine runs",
        remedy: "switch the machine off, or use disks of a SCSI controller, which come and go")
    }
    record("removed", address, "\(old.path ?? "the empty DVD drive") removed", path: old.path)
  }

  public func resizeDisk(
    at address: DiskAddress, to byteCount: UInt64
  ) async throws(ControlError) -> ControlAPI.AttachedDisk {
    let old = try disk(at: address)
    try await change { [storage, legacy] () throws(ControlError) in
      switch address {
      case .scsi(let controller, let lun): try storage.resize(controller: controller, unit: lun, to: byteCount)
      case .ide(let place): try legacy?.resize(place, to: byteCount)
      }
    }
    let new = try disk(at: address)
    record(
      "resized", address,
      "\(old.path ?? "") resized from \(Quantity.bytes(old.sizeBytes)) to \(Quantity.bytes(new.sizeBytes))",
      path: old.path, ["from": "\(old.sizeBytes)", "to": "\(new.sizeBytes)"])
    return new
  }

  public func insertDisc(
    _ request: DiscRequest, at address: DiskAddress
  ) async throws(ControlError) -> ControlAPI.AttachedDisk {
    let format = try DiskConfiguration(request).format
    _ = try disk(at: address)
    try await change { [storage, legacy] () throws(ControlError) in
      switch address {
      case .scsi(let controller, let lun):
        try storage.insert(request.path, format: format, controller: controller, unit: lun)
      case .ide(let place): try legacy?.insert(request.path, format: format, at: place)
      }
    }
    record("inserted", address, "\(request.path) inserted", path: request.path)
    return try disk(at: address)
  }

  public func ejectDisc(at address: DiskAddress, force: Bool) async throws(ControlError) -> ControlAPI.AttachedDisk {
    let old = try disk(at: address)
    try await change { [storage, legacy] () throws(ControlError) in
      switch address {
      case .scsi(let controller, let lun): try storage.eject(controller: controller, unit: lun, force: force)
      case .ide(let place): try legacy?.eject(place, force: force)
      }
    }
    record("ejected", address, "\(old.path ?? "the disc") ejected\(force ? " by force" : "")", path: old.path)
    return try disk(at: address)
  }

  // MARK: Parts

  private func disk(at address: DiskAddress) throws(ControlError) -> ControlAPI.AttachedDisk {
    guard let disk = attachedDisks().first(where: { $0.address == address }) else {
      throw ControlError.noDisk(at: address)
    }
    return ControlAPI.AttachedDisk(disk)
  }

  /// A change of disks or network adapters, off the cooperative pool.
  func change<R: Sendable>(
    _ body: @escaping @Sendable () throws(ControlError) -> R
  ) async throws(ControlError) -> R {
    if life.value.isOver { throw Self.over }
    let result: Result<R, ControlError> = await withCheckedContinuation { continuation in
      Self.deviceQueue.async {
        do throws(ControlError) {
          continuation.resume(returning: .success(try body()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }

  private func record(
    _ change: String, _ address: DiskAddress, _ message: String, path: String?, _ more: [String: String] = [:]
  ) {
    var details = more.merging(address.details) { $1 }
    details["change"] = change
    if let path { details["path"] = path }
    events.record(.disk, "disk \(address): \(message)", details: details)
  }
}

extension DiskFormat {
  var image: ImageFormat {
    switch self {
    case .raw: .raw
    case .iso: .iso
    case .vhd: .vhd
    case .vhdx: .vhdx
    }
  }

  init(_ format: ImageFormat) {
    switch format {
    case .raw: self = .raw
    case .iso: self = .iso
    case .vhd: self = .vhd
    case .vhdx: self = .vhdx
    }
  }
}

extension ControlAPI.AttachedDisk {
  init(_ disk: AttachedDisk) {
    let configuration = disk.configuration
    let information = disk.information
    self.init(
      at: disk.address, interface: disk.interface, kind: configuration.kind == .dvd ? .dvd : .disk,
      path: configuration.path,
      format: information.map { DiskFormat($0.format) }, sizeBytes: information?.virtualByteCount ?? 0,
      readOnly: information?.isReadOnly ?? configuration.isReadOnly,
      writeCache: configuration.kind == .disk && configuration.hasWriteCache,
      logicalSectorBytes: information?.logicalSectorByteCount ?? 2048,
      physicalSectorBytes: information?.physicalSectorByteCount ?? 2048, blockBytes: information?.blockByteCount,
      state: disk.waitsForSpace ? .noSpace : disk.isPoisoned ? .failed : information == nil ? .empty : .attached,
      counters: DiskCounters(
        reads: disk.figures.reads, readBytes: disk.figures.readBytes, writes: disk.figures.writes,
        writtenBytes: disk.figures.writtenBytes, flushes: disk.figures.flushes, discards: disk.figures.discards,
        failures: disk.figures.failures))
  }
}

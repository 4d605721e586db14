// SPDX-License-Identifier: Apache-2.0

import Synchronization

@testable import ControlAPI

/// A machine in memory: answers as a real one would, remembers what it was asked.
final class FakeMachine: VirtualMachineControl {
  struct State {
    var machine = MachineState.running
    var calls: [String] = []
    var enabled: [ServiceName: Bool] = [:]
    var items: [KeyValuePool: [String: KeyValueItem]] = [:]
    var addresses: [String: AdapterAddresses] = [:]
    var files: [String: [UInt8]] = [:]
    var typed: [UInt8] = []
    var disks: [DiskAddress: AttachedDisk] = [:]
    /// Of DVD drives that the guest has locked.
    var locked: Set<DiskAddress> = []
    var nics: [AttachedAdapter] = []
    var frozen = false
    var copyEnd: ControlError?
    /// Bytes of a copy that the guest has taken.
    var copyTaken = 0
    /// A guest that takes this much of a copy and no more for now.
    var copyIsHeldAfter = Int.max
  }

  let events = EventLog()
  let console: ConsoleHub?
  let state: Box

  final class Box: Sendable {
    let value = Mutex(State())
  }

  init(hasConsole: Bool = true) {
    let box = Box()
    state = box
    console = hasConsole ? ConsoleHub { bytes in box.value.withLock { $0.typed += bytes } } : nil
  }

  func note(_ call: String) { state.value.withLock { $0.calls.append(call) } }
  var calls: [String] { state.value.withLock { $0.calls } }

  private func move(
    from allowed: Set<MachineState>, to next: MachineState, _ verb: String
  ) throws(ControlError) {
    let now = state.value.withLock { state in
      defer { if allowed.contains(state.machine) { state.machine = next } }
      return state.machine
    }
    guard allowed.contains(now) else {
      throw ControlError(.wrongState, "cannot \(verb): the machine is \(now.rawValue)")
    }
    note(verb)
  }

  func describe() async throws(ControlError) -> MachineDescription {
    var description = Sample.machine
    description.state = state.value.withLock { $0.machine }
    return description
  }

  func shutDown(timeout: Duration) async throws(ControlError) {
    guard state.value.withLock({ $0.enabled[.shutdown] ?? true }) else {
      throw ControlError(.serviceUnavailable, "the shutdown service is switched off", remedy: "lis vm stop --force")
    }
    note("shutDown \(timeout)")
  }

  func turnOff() async throws(ControlError) { note("turnOff") }
  func reboot(timeout: Duration) async throws(ControlError) { note("reboot \(timeout)") }
  func reset() async throws(ControlError) { note("reset") }
  func pause() async throws(ControlError) { try move(from: [.running], to: .paused, "pause") }
  func resume() async throws(ControlError) { try move(from: [.paused], to: .running, "resume") }
  func injectNMI() async throws(ControlError) { note("nmi") }

  func disks() async throws(ControlError) -> [AttachedDisk] {
    state.value.withLock { state in
      state.disks.sorted { $0.key.description < $1.key.description }.map(\.value)
    }
  }

  func addDisk(_ request: DiskRequest) async throws(ControlError) -> AttachedDisk {
    try state.value.withLock { state throws(ControlError) in
      let controller = request.controller ?? 0
      let free = DiskAddress.luns.first { state.disks[DiskAddress(controller: controller, lun: $0)] == nil }
      let address = DiskAddress(controller: controller, lun: request.lun ?? free ?? 0)
      guard state.disks[address] == nil else { throw ControlError(.alreadyExists, "\(address) is in use") }
      let isDVD = request.kind == .dvd
      let disk = AttachedDisk(
        at: address, kind: isDVD ? .dvd : .disk, path: request.path,
        format: request.format ?? (request.path == nil ? nil : isDVD ? .iso : .vhdx),
        sizeBytes: request.path == nil ? 0 : 1 << 30, readOnly: isDVD || request.readOnly ?? false,
        writeCache: !isDVD && request.writeCache ?? true, logicalSectorBytes: request.sectorBytes ?? 512,
        state: request.path == nil ? .empty : .attached)
      state.disks[address] = disk
      return disk
    }
  }

  func removeDisk(at address: DiskAddress) async throws(ControlError) {
    if case .ide = address { throw ControlError(.wrongState, "\(address) is on the IDE controller") }
    guard state.value.withLock({ $0.disks.removeValue(forKey: address) }) != nil else {
      throw ControlError.noDisk(at: address)
    }
  }

  func resizeDisk(at address: DiskAddress, to byteCount: UInt64) async throws(ControlError) -> AttachedDisk {
    try change(address) { disk throws(ControlError) in
      guard disk.kind == .disk else { throw ControlError(.badRequest, "\(address) is a DVD drive") }
      disk.sizeBytes = byteCount
    }
  }

  func insertDisc(_ request: DiscRequest, at address: DiskAddress) async throws(ControlError) -> AttachedDisk {
    try change(address) { disk throws(ControlError) in
      guard disk.state == .empty else { throw ControlError(.alreadyExists, "\(address) has a disc in it") }
      disk.path = request.path
      disk.format = .iso
      disk.sizeBytes = 1 << 20
      disk.state = .attached
    }
  }

  func ejectDisc(at address: DiskAddress, force: Bool) async throws(ControlError) -> AttachedDisk {
    let isLocked = state.value.withLock { $0.locked.contains(address) }
    return try change(address) { disk throws(ControlError) in
      guard force || !isLocked else { throw ControlError(.wrongState, "the guest has locked the drive") }
      disk.path = nil
      disk.format = nil
      disk.sizeBytes = 0
      disk.state = .empty
    }
  }

  private func change(
    _ address: DiskAddress, _ body: (inout AttachedDisk) throws(ControlError) -> Void
  ) throws(ControlError) -> AttachedDisk {
    try state.value.withLock { state throws(ControlError) in
      guard var disk = state.disks[address] else { throw ControlError.noDisk(at: address) }
      try body(&disk)
      state.disks[address] = disk
      return disk
    }
  }

  func nics() async throws(ControlError) -> [AttachedAdapter] { state.value.withLock { $0.nics } }

  func addNIC(_ request: NICRequest) async throws(ControlError) -> AttachedAdapter {
    try state.value.withLock { state throws(ControlError) in
      let name = request.name ?? "nic\(state.nics.count)"
      guard !state.nics.contains(where: { $0.name == name }) else {
        throw ControlError(.alreadyExists, "a network adapter named \(name) is there already")
      }
      let nic = AttachedAdapter(
        name: name, mac: request.mac ?? "00:15:5d:00:00:01", connection: request.connection,
        link: request.connection == "none" ? .down : .up, vlan: request.vlan ?? "untagged",
        maximumMTU: request.mtu ?? 1500, monitored: request.monitored ?? false, spoofing: request.spoofing ?? false,
        isolated: request.isolated ?? false,
        routerGuard: request.routerGuard ?? false, dhcpGuard: request.dhcpGuard ?? false,
        forwards: request.forwards ?? [])
      state.nics.append(nic)
      return nic
    }
  }

  func removeNIC(_ name: String) async throws(ControlError) {
    _ = try change(nic: name) { _ in }
    state.value.withLock { $0.nics.removeAll { $0.name == name } }
  }

  func connectNIC(_ name: String, _ request: NICConnectionRequest) async throws(ControlError) -> AttachedAdapter {
    try change(nic: name) { nic in
      nic.connection = request.connection
      nic.forwards = request.forwards ?? []
      nic.link = request.connection == "none" ? .down : .up
    }
  }

  func setLink(ofNIC name: String, _ link: AttachedAdapter.Link) async throws(ControlError) -> AttachedAdapter {
    try change(nic: name) { $0.link = link }
  }

  func setGuards(ofNIC name: String, _ request: NICGuardsRequest) async throws(ControlError) -> AttachedAdapter {
    try change(nic: name) {
      $0.spoofing = request.spoofing ?? $0.spoofing
      $0.isolated = request.isolated ?? $0.isolated
      $0.routerGuard = request.routerGuard ?? $0.routerGuard
      $0.dhcpGuard = request.dhcpGuard ?? $0.dhcpGuard
    }
  }

  func setVLAN(ofNIC name: String, _ vlan: String) async throws(ControlError) -> AttachedAdapter {
    try change(nic: name) { $0.vlan = vlan }
  }

  func startCapture(ofNIC name: String, _ request: NICCaptureRequest) async throws(ControlError) -> AdapterCapture {
    let capture = AdapterCapture(path: request.path)
    _ = try change(nic: name) { nic throws(ControlError) in
      guard nic.capture == nil else { throw ControlError(.wrongState, "\(name) is being captured already") }
      nic.capture = capture
    }
    return capture
  }

  func stopCapture(ofNIC name: String) async throws(ControlError) -> AdapterCapture {
    let old = state.value.withLock { state in state.nics.first { $0.name == name }?.capture }
    _ = try change(nic: name) { $0.capture = nil }
    guard let old else { throw ControlError(.wrongState, "\(name) is not being captured") }
    return old
  }

  private func change(
    nic name: String, _ body: (inout AttachedAdapter) throws(ControlError) -> Void
  ) throws(ControlError) -> AttachedAdapter {
    try state.value.withLock { state throws(ControlError) in
      guard let index = state.nics.firstIndex(where: { $0.name == name }) else {
        throw ControlError.noNIC(name, among: state.nics.map(\.name))
      }
      try body(&state.nics[index])
      return state.nics[index]
    }
  }

  func services() async throws(ControlError) -> [ServiceStatus] {
    let enabled = state.value.withLock { $0.enabled }
    return ServiceName.allCases.map { name in
      ServiceStatus(
        name: name, enabled: enabled[name] ?? true, state: enabled[name] == false ? .disabled : .ready,
        frameworkVersion: "3.0", version: "4.0")
    }
  }

  func setService(_ name: ServiceName, enabled: Bool) async throws(ControlError) -> ServiceStatus {
    state.value.withLock { $0.enabled[name] = enabled }
    return ServiceStatus(name: name, enabled: enabled, state: enabled ? .offered : .disabled)
  }

  func keyValueItems(in pool: KeyValuePool) async throws(ControlError) -> [KeyValueItem] {
    state.value.withLock { ($0.items[pool] ?? [:]).values.sorted { $0.key < $1.key } }
  }

  func keyValueItem(_ key: String, in pool: KeyValuePool) async throws(ControlError) -> KeyValueItem {
    guard let item = state.value.withLock({ $0.items[pool]?[key] }) else { throw missing(key, pool) }
    return item
  }

  func setKeyValueItem(_ item: KeyValueItem) async throws(ControlError) {
    state.value.withLock { $0.items[item.pool, default: [:]][item.key] = item }
  }

  func deleteKeyValueItem(_ key: String, in pool: KeyValuePool) async throws(ControlError) {
    guard state.value.withLock({ $0.items[pool]?.removeValue(forKey: key) }) != nil else { throw missing(key, pool) }
  }

  private func missing(_ key: String, _ pool: KeyValuePool) -> ControlError {
    ControlError(.notFound, "no key \"\(key)\" in pool \(pool.rawValue)")
  }

  func addresses(of adapter: String) async throws(ControlError) -> AdapterAddresses {
    guard let addresses = state.value.withLock({ $0.addresses[adapter] }) else {
      throw ControlError(.notFound, "the guest has no adapter \(adapter)")
    }
    return addresses
  }

  func setAddresses(_ addresses: AdapterAddresses) async throws(ControlError) {
    state.value.withLock { $0.addresses[addresses.adapter] = addresses }
  }

  func copyFile(
    _ request: FileCopyRequest, from source: FileCopySource
  ) async throws(ControlError) -> FileCopyResult {
    if state.value.withLock({ $0.files[request.path] }) != nil, !request.overwrite {
      throw ControlError(.alreadyExists, "\(request.path) exists in the guest", remedy: "overwrite it with --overwrite")
    }
    var bytes: [UInt8] = []
    do throws(ControlError) {
      while let chunk = try await source.nextChunk() {
        bytes += chunk
        state.value.withLock { [count = bytes.count] in $0.copyTaken = count }
        while state.value.withLock({ $0.copyIsHeldAfter <= $0.copyTaken }) {
          do {
            try await Task.sleep(for: .milliseconds(5))
          } catch {
            throw ControlError(.cancelled, "the client went away")
          }
        }
      }
    } catch {
      state.value.withLock { $0.copyEnd = error }
      throw error
    }
    let result = bytes
    state.value.withLock { $0.files[request.path] = result }
    return FileCopyResult(path: request.path, byteCount: UInt64(result.count), seconds: 0.5)
  }

  func checkSnapshot() async throws(ControlError) -> SnapshotStatus {
    SnapshotStatus(supported: true, frozen: state.value.withLock { $0.frozen })
  }

  func freeze(deadline: Duration) async throws(ControlError) -> SnapshotStatus {
    state.value.withLock { $0.frozen = true }
    note("freeze \(deadline)")
    return SnapshotStatus(supported: true, frozen: true, thawsAt: Sample.time)
  }

  func thaw() async throws(ControlError) -> SnapshotStatus {
    guard
      state.value.withLock({ state in
        defer { state.frozen = false }
        return state.frozen
      })
    else { throw ControlError(.wrongState, "the guest is not frozen") }
    return SnapshotStatus(supported: true, frozen: false)
  }
}

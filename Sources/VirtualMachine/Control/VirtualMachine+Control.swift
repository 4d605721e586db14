// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import DeviceProtocols
import Partition
import ServiceProviders
import VMBusHost

extension VirtualMachine: VirtualMachineControl {
  public func describe() async throws(ControlError) -> MachineDescription { description() }

  // MARK: Life

  public func shutDown(timeout: Duration) async throws(ControlError) {
    try await askToGo(.powerOff, timeout: timeout) { $0.isOver }
  }

  public func reboot(timeout: Duration) async throws(ControlError) {
    let resets = life.value.resets
    try await askToGo(.restart, timeout: timeout) { $0.resets > resets || $0.isOver }
    if life.value.isOver { throw ControlError(.guestFailure, "the machine ended instead of rebooting") }
  }

  /// Asks through the shutdown service and waits for `done`.
  private func askToGo(
    _ action: ShutdownRequest.Action, timeout: Duration, until done: @escaping @Sendable (Life) -> Bool
  ) async throws(ControlError) {
    try requireRunning()
    let seconds = UInt32(clamping: timeout.components.seconds)
    do throws(ServiceError) {
      _ = try await services.request(ShutdownProvider.self) { provider, id, clock in
        provider.request(ShutdownRequest(action, timeoutSeconds: seconds), id: id, clock)
      }
    } catch {
      // The answer may be overtaken by the end that it announces.
      if case .channelClosed = error, await life.wait(upTo: timeout, until: done) { return }
      throw ControlError(error, name: .shutdown)
    }
    life.update { if $0.state == .running { $0.state = .stopping } }
    if await life.wait(upTo: timeout, until: done) { return }
    life.update { if $0.state == .stopping { $0.state = .running } }
    throw ControlError(
      .timedOut, "the guest agreed to go, and has not within \(seconds) s",
      remedy: "wait longer (--timeout), or use force")
  }

  public func turnOff() async throws(ControlError) {
    try await onLifeQueue { [self] () throws(ControlError) in
      if life.value.isOver { throw Self.over }
      finish(.forcedStop, nil)
    }
  }

  public func reset() async throws(ControlError) {
    try await onLifeQueue { [self] () throws(ControlError) in
      if life.value.isOver { throw Self.over }
      restart("asked for")
    }
  }

  public func pause() async throws(ControlError) {
    try await onLifeQueue { [self] () throws(ControlError) in
      switch life.value.state {
      case .running, .stopping: break
      case .paused, .pausedCritical: throw ControlError(.wrongState, "the machine is paused already")
      case .starting: throw ControlError(.wrongState, "the machine is still starting", remedy: "try again")
      case .ended: throw Self.over
      }
      do throws(PartitionError) { try partition.pause() } catch { throw ControlError(error) }
      services.partitionPaused()
      life.update { $0.state = .paused }
      events.record(.state, "paused", details: ["state": MachineState.paused.rawValue])
    }
  }

  public func resume() async throws(ControlError) {
    try await onLifeQueue { [self] () throws(ControlError) in
      if life.value.state == .pausedCritical {
        throw ControlError(
          .wrongState, "the machine waits for space on the host for one of its disks",
          remedy: "make room: it goes on by itself")
      }
      guard life.value.state == .paused else {
        throw life.value.isOver ? Self.over : ControlError(.wrongState, "the machine is not paused")
      }
      do throws(PartitionError) { try partition.resume() } catch { throw ControlError(error) }
      services.partitionResumed()
      life.update { $0.state = .running }
      events.record(.state, "running again", details: ["state": MachineState.running.rawValue])
    }
  }

  public func injectNMI() async throws(ControlError) {
    try await onLifeQueue { [self] () throws(ControlError) in
      guard life.value.state != .paused, life.value.state != .pausedCritical else {
        throw ControlError(.wrongState, "the machine is paused", remedy: "resume it first")
      }
      if life.value.isOver { throw Self.over }
      do throws(PartitionError) { try partition.injectNMI() } catch { throw ControlError(error) }
    }
  }

  static let over = ControlError(.notRunning, "the machine has ended")

  private func requireRunning() throws(ControlError) {
    switch life.value.state {
    case .running: break
    case .stopping: throw ControlError(.busy, "the guest has been asked to go already", remedy: "wait, or use force")
    case .paused: throw ControlError(.wrongState, "the machine is paused", remedy: "resume it first")
    case .pausedCritical:
      throw ControlError(
        .wrongState, "the machine waits for space on the host", remedy: "make room, or switch it off with force")
    case .starting: throw ControlError(.wrongState, "the machine is still starting", remedy: "try again")
    case .ended: throw Self.over
    }
  }

  // MARK: Services

  public func services() async throws(ControlError) -> [ServiceStatus] { Self.statuses(services.snapshot()) }

  public func setService(_ name: ServiceName, enabled: Bool) async throws(ControlError) -> ServiceStatus {
    try await onLifeQueue { [self] () throws(ControlError) in
      if life.value.isOver { throw Self.over }
      let service = name.service
      let channel = services.setEnabled(service, enabled)
      if enabled {
        if services.toOffer.contains(service) { offer(service) }
      } else if let channel {
        do throws(BusServerError) {
          try bus.rescind(channel)
        } catch {
          throw ControlError(.hostFailure, "taking the channel of \(name.title) away failed: \(error)")
        }
        services.withdrawn(service)
      }
      events.record(
        .service, "\(name.title): switched \(enabled ? "on" : "off")",
        details: ["service": name.rawValue, "state": enabled ? "enabled" : "disabled"])
      guard let snapshot = services.snapshot()[service] else {
        throw ControlError(.notFound, "this machine has no service \(name.rawValue)")
      }
      return Self.status(name, snapshot)
    }
  }

  // MARK: Snapshots

  public func checkSnapshot() async throws(ControlError) -> SnapshotStatus {
    _ = try await ask(VolumeSnapshotProvider.self, .snapshot) { $0.check(id: $1, $2) }
    return SnapshotStatus(supported: true, frozen: isFrozen)
  }

  public func freeze(deadline: Duration) async throws(ControlError) -> SnapshotStatus {
    try requireRunning()
    let hold = UInt64(clamping: deadline.components.seconds) &* 1_000_000_000
    let result = try await ask(VolumeSnapshotProvider.self, .snapshot) { $0.freeze(holdAtMost: hold, id: $1, $2) }
    guard case .frozen(let milliseconds) = result else { return SnapshotStatus(supported: true, frozen: isFrozen) }
    let thawsAt = Timestamp(nanoseconds: Timestamp.now.nanoseconds &+ Int64(clamping: milliseconds) &* 1_000_000)
    return SnapshotStatus(supported: true, frozen: true, thawsAt: thawsAt)
  }

  public func thaw() async throws(ControlError) -> SnapshotStatus {
    _ = try await ask(VolumeSnapshotProvider.self, .snapshot) { $0.thaw(id: $1, $2) }
    return SnapshotStatus(supported: true, frozen: isFrozen)
  }

  private var isFrozen: Bool { services.look(at: VolumeSnapshotProvider.self) { $0.isFrozen } ?? false }

  /// One request to a service, with its errors in the control API's terms.
  func ask<P: IntegrationServiceProvider>(
    _ type: P.Type, _ name: ServiceName, about subject: String = "",
    _ body: @Sendable (inout P, ServiceRequestID, ServiceClock) -> Void
  ) async throws(ControlError) -> ServiceResult {
    do throws(ServiceError) {
      return try await services.request(type, body)
    } catch {
      throw ControlError(error, name: name, subject: subject)
    }
  }
}

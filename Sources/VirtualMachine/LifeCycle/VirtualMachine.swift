// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import DeviceProtocols
import Dispatch
public import Partition
import ServiceProviders
import Synchronization
import VMBus
import VMBusHost

/// A running machine: a partition, the bus in it, and the integration services on the bus.
///
/// Threads: the partition's own; `services` for the integration services; and one serial queue on which everything
/// that starts, stops, pauses or resets happens, one thing after the other. Control calls come from the cooperative
/// pool and hand over to one of these.
public final class VirtualMachine: Sendable {
  public let configuration: VirtualMachineConfiguration
  public let accelerator: AcceleratorInUse
  public let events: EventLog
  public let console: ConsoleHub?

  let partition: Partition
  let bus: PartitionBus
  let services: ServiceGroup
  let storage: StorageGroup
  let network: NetworkGroup
  /// nil: a machine of generation 2.
  let legacy: LegacyGroup?
  let life = Watched(Life())
  /// Starting, stopping, pausing, resetting and switching services: one at a time.
  let lifeQueue = DispatchQueue(label: "swift-lis.life")
  private let inlet: PartitionInlet

  /// Builds everything; no processor runs yet. `files`: where kernel and initramfs really lie (on the software machine
  /// they are devices); nil: as the configuration names them. `output` gets what the guest prints, besides the hub.
  public init(
    _ configuration: VirtualMachineConfiguration, accelerator: AcceleratorInUse, files: BootFiles? = nil,
    output: (any SerialSink)? = nil
  ) throws(ControlError) {
    self.configuration = configuration
    self.accelerator = accelerator
    let events = EventLog()
    self.events = events
    let port = PartitionPort()
    let serialInput = SerialInput()
    if case .off = configuration.serial {
      console = nil
    } else {
      console = ConsoleHub { serialInput.type($0) }
    }
    let inlet = PartitionInlet()
    self.inlet = inlet
    let files = files ?? BootFiles(configuration)
    let space = SpaceWatch { inlet.spaceChanged(isShort: $0, drive: $1) }
    legacy = try LegacyGroup.open(
      configuration.ideDrives, adapters: configuration.adapters.filter(\.isLegacy), machine: configuration.name,
      port: port, opener: files.images, events: events, space: space)
    do throws(PartitionError) {
      services = try ServiceGroup(
        providers: ServiceCatalogue.providers(configuration),
        disabled: Set(configuration.disabledServices.map(\.service)), port: port,
        report: { service, event in
          events.record(service, event)
          if service == .keyValuePair, case .state(.ready) = event { inlet.keyValuesReady() }
        })
      var parts = PartitionConfiguration(
        processors: configuration.processors, memoryBytes: configuration.memory.rawValue, kernel: files.kernel,
        initramfs: files.initramfs, commandLine: configuration.commandLine)
      parts.guestUnpacksKernel = configuration.unpackKernel.isForGuest(isNested: KernelUnpacking.hostIsVirtual)
      if let console { parts.serial = SerialFan(console: console, other: output) }
      parts.identity = ServiceCatalogue.machineID(configuration.name)
      parts.portDevices = legacy?.ports
      partition = try Partition(parts, delegate: inlet)
      try legacy?.ports.connect(partition)
    } catch {
      legacy?.stop()
      throw ControlError(error)
    }
    storage = StorageGroup(
      machine: configuration.name, processors: configuration.processors, port: port, events: events,
      opener: files.images, space: space)
    network = NetworkGroup(
      machine: configuration.name, processors: configuration.processors, place: files.networks, port: port,
      events: events)
    do throws(ControlError) {
      try storage.open(configuration.disks)
      do throws(ControlError) {
        try network.open(configuration.adapters, emulated: legacy?.ports.adapters ?? [])
      } catch {
        storage.stop()
        throw error
      }
    } catch {
      legacy?.stop()
      throw error
    }
    port.connect(partition)
    serialInput.connect { [weak partition] bytes in partition?.serialInput(bytes) ?? bytes.count }
    let server = BusServer(
      maximumVersion: configuration.busVersionLimit.map { ProtocolVersion(rawValue: $0.rawValue) } ?? .v5_3,
      processorCount: configuration.processors,
      guestFrames: partition.memory.ranges.map { $0.base >> 12..<$0.end >> 12 })
    bus = PartitionBus(
      server: server, partition: port, notice: { events.record($0) })
    inlet.connect(self)
  }

  /// Lets the guest run. Blocks for some milliseconds: a task that waits for the life queue would first have to look up
  /// types, and that would take as long as the start.
  public func start() throws(ControlError) {
    let outcome = StartOutcome()
    let isDone = DispatchSemaphore(value: 0)
    lifeQueue.async { [self] in
      defer { isDone.signal() }
      // Switched off before it could start: `waitForEnd` says how.
      if life.value.isOver { return }
      do throws(PartitionError) {
        try begin()
      } catch {
        finish(.hostFailure, String(describing: error))
        outcome.failure.withLock { $0 = ControlError(error) }
      }
    }
    isDone.wait()
    if let failure = outcome.failure.withLock({ $0 }) { throw failure }
  }

  private final class StartOutcome: Sendable {
    let failure = Mutex<ControlError?>(nil)
  }

  private func begin() throws(PartitionError) {
    try services.start()
    let hostItems = ServiceCatalogue.identity(configuration, hostName: Self.hostName()).items
    services.update(KeyValueProvider.self) { $0.setHostItems(hostItems, $1) }
    for service in services.toOffer { offer(service) }
    storage.offer(on: bus)
    legacy?.offer(on: bus)
    network.offer(on: bus)
    life.update {
      $0.state = .running
      $0.startedAt = .now
      $0.startedAtMonotonic = MachineClock.monotonic()
    }
    try partition.start()
    events.record(.state, "running", details: ["state": MachineState.running.rawValue])
  }

  /// Returns when the machine is over.
  public func waitForEnd() async -> (end: MachineEnd, detail: String?) {
    await life.wait { $0.isOver }
    let life = life.value
    return (life.end ?? .hostFailure, life.endDetail)
  }

  // MARK: On the life queue

  /// Runs `body` on the life queue. It may block there, not on the caller's thread.
  func onLifeQueue<R: Sendable>(
    _ body: @escaping @Sendable () throws(ControlError) -> R
  ) async throws(ControlError) -> R {
    let result: Result<R, ControlError> = await withCheckedContinuation { continuation in
      lifeQueue.async {
        do throws(ControlError) {
          continuation.resume(returning: .success(try body()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }

  func offer(_ service: IntegrationService) {
    let description = OfferDescription.integrationService(classID: service.classID, instanceID: service.instanceID)
    do throws(BusServerError) {
      try bus.offer(description, owner: services) { services.offered(service, as: $0) }
    } catch {
      events.record(.service, "\(service.name): not offered: \(error)", details: ["service": "\(service.name)"])
    }
  }

  /// The processors have stopped by themselves.
  func ended(_ end: PartitionEnd) {
    guard !life.value.isOver else { return }
    switch end {
    case .powerOff: finish(.powerOff, nil)
    case .reset: restart("the guest asked for a reset")
    case .tripleFault:
      if configuration.onCrash == .stop {
        finish(.tripleFault, "a processor shut down after a triple fault")
      } else {
        restart("a processor shut down after a triple fault")
      }
    case .failed(let reason): finish(.hostFailure, reason)
    }
  }

  /// A disk's file finds no space on the host, or has found some: the guest stands still in between, so that none of its
  /// writes fails.
  func spaceChanged(isShort: Bool, drive: String) {
    let state = life.value.state
    do throws(PartitionError) {
      if isShort, state == .running || state == .stopping {
        try partition.pause()
        services.partitionPaused()
        life.update { $0.state = .pausedCritical }
        events.record(
          .state, "paused: there is no space for \(drive) on the host",
          details: ["state": MachineState.pausedCritical.rawValue, "disk": drive])
      } else if !isShort, state == .pausedCritical {
        try partition.resume()
        services.partitionResumed()
        life.update { $0.state = .running }
        events.record(
          .state, "running again: there is space for \(drive)", details: ["state": MachineState.running.rawValue])
      }
    } catch {
      events.record(.state, "not \(isShort ? "paused" : "resumed"): \(ControlError(error).message)", details: [:])
    }
  }

  /// A reset in place: the same process, threads and memory, a new guest.
  func restart(_ why: String) {
    guard !life.value.isOver else { return }
    do throws(PartitionError) {
      try partition.pause()
    } catch {
      // Already stopped by its own end: nothing to pause.
    }
    storage.giveUpWaiting()
    legacy?.storage.giveUpWaiting()
    bus.reset()
    storage.resetUnits()
    legacy?.resetUnits()
    network.reset()
    do throws(PartitionError) {
      try partition.reset()
    } catch {
      finish(.hostFailure, ControlError(error).message)
      return
    }
    services.partitionResumed()
    life.update {
      $0.state = .running
      $0.resets += 1
      $0.crashHandled = false
    }
    events.record(.state, "reset: \(why)", details: ["state": MachineState.running.rawValue, "reset": why])
  }

  /// The last thing that happens to a machine. Later calls do nothing.
  func finish(_ end: MachineEnd, _ detail: String?) {
    guard !life.value.isOver else { return }
    partition.stop()
    storage.giveUpWaiting()
    legacy?.storage.giveUpWaiting()
    bus.reset()
    services.stop()
    network.stop()
    storage.stop()
    legacy?.stop()
    var details = ["state": MachineState.ended.rawValue, "end": end.rawValue]
    if let detail { details["detail"] = detail }
    events.record(.state, "ended: \(detail ?? end.rawValue)", details: details)
    events.finish()
    console?.finish()
    life.update {
      $0.state = .ended
      $0.end = end
      $0.endDetail = detail
    }
  }
}

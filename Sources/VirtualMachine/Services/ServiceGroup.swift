// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Glibc
import HostSystem
import Partition
import ServiceProviders
import Synchronization
import VMBus
import VMBusHost

/// All integration services of a machine: one lock, one thread (`services`), one doorbell each.
///
/// Whoever holds the lock may move a service on: the thread when a doorbell rings or a deadline passes, a processor
/// thread when the guest opens or closes a channel, a control call when it asks something. Nothing under the lock blocks.
final class ServiceGroup: ChannelOwner {
  struct State {
    var services: [IntegrationService: OfferedService] = [:]
    var nextRequest: UInt64 = 1
    var waiting: [ServiceRequestID: @Sendable (Result<ServiceResult, ServiceError>) -> Void] = [:]
    var readers: [ServiceRequestID: AsyncStream<ReadRequest>.Continuation] = [:]
    var stopping = false
  }

  /// The guest's file copy is ready for the next bytes of the file.
  struct ReadRequest: Sendable {
    var id: ServiceRequestID
    var offset: UInt64
    var count: Int
  }

  /// What is left to do after the lock was let go: nothing of it may run under it.
  private struct Outcome: Sendable {
    var signals: [(ChannelID, VPIndex)] = []
    var events: [(IntegrationService, ServiceEvent)] = []
    var completions: [@Sendable () -> Void] = []
  }

  private let state: Mutex<State>
  private let port: PartitionPort
  private let report: @Sendable (IntegrationService, ServiceEvent) -> Void
  private let doorbells: ServiceDoorbells
  private let thread = Mutex<DedicatedThread?>(nil)

  init(
    providers: [any IntegrationServiceProvider], disabled: Set<IntegrationService>, port: PartitionPort,
    report: @escaping @Sendable (IntegrationService, ServiceEvent) -> Void
  ) throws(PartitionError) {
    self.port = port
    self.report = report
    doorbells = try ServiceDoorbells()
    var initial = State()
    for provider in providers {
      initial.services[provider.service] = OfferedService(
        provider: provider, enabled: !disabled.contains(provider.service))
    }
    state = Mutex(initial)
  }

  var clock: ServiceClock { MachineClock.now(referenceTime: port.referenceTime) }

  // MARK: Channels (under the bus's lock, on processor threads)

  func open(_ opening: ChannelOpening) -> Bool {
    guard let memory = port.memory else { return false }
    return mutate { state, outcome in
      guard let service = Self.service(with: opening.channel, in: state), var offered = state.services[service],
        let rings = try? ChannelRings(
          memory: memory, incoming: opening.guestToHostFrames, outgoing: opening.hostToGuestFrames,
          largestPacket: OfferedService.largestPacket),
        port.bindDoorbell(opening.connection, to: doorbells.descriptor(of: service))
      else { return false }
      offered.rings = rings
      offered.connection = opening.connection
      offered.targetVP = opening.targetVP
      offered.broken = nil
      offered.provider.channelOpened(clock)
      settle(service, &offered, &state, &outcome)
      state.services[service] = offered
      return true
    }
  }

  func close(_ channel: ChannelID) -> ChannelClosing {
    mutate { state, outcome in
      guard let service = Self.service(with: channel, in: state), var offered = state.services[service] else { return }
      if let connection = offered.connection {
        port.unbindDoorbell(connection, from: doorbells.descriptor(of: service))
      }
      offered.connection = nil
      offered.rings = nil
      offered.outgoing.removeAll()
      offered.provider.channelClosed(clock)
      settle(service, &offered, &state, &outcome)
      state.services[service] = offered
    }
    return .closed()
  }

  func retarget(_ channel: ChannelID, to vp: VPIndex) {
    mutate { state, outcome in
      guard let service = Self.service(with: channel, in: state) else { return }
      state.services[service]?.targetVP = vp
      // An interrupt may have gone to the old processor while the guest moved: one more is harmless.
      outcome.signals.append((channel, vp))
    }
  }

  func signalled(_ channel: ChannelID) {
    mutate { state, outcome in
      guard let service = Self.service(with: channel, in: state) else { return }
      turn(service, &state, &outcome)
    }
  }

  private static func service(with channel: ChannelID, in state: State) -> IntegrationService? {
    state.services.first { $0.value.channel == channel }?.key
  }

  // MARK: Offers

  /// Every service that is switched on, in a stable order.
  var toOffer: [IntegrationService] {
    state.withLock { state in
      state.services.filter { $0.value.enabled && $0.value.channel == nil }.keys.sorted { $0.rawValue < $1.rawValue }
    }
  }

  func offered(_ service: IntegrationService, as channel: ChannelID) {
    state.withLock { $0.services[service]?.channel = channel }
  }

  /// Marks the service as switched on or off. The result is the channel to rescind, if there is one.
  func setEnabled(_ service: IntegrationService, _ enabled: Bool) -> ChannelID? {
    state.withLock { state in
      state.services[service]?.enabled = enabled
      return enabled ? nil : state.services[service]?.channel
    }
  }

  func withdrawn(_ service: IntegrationService) {
    state.withLock { $0.services[service]?.channel = nil }
  }

  // MARK: Requests

  /// Looks at a provider.
  func look<P: IntegrationServiceProvider, R: Sendable>(at type: P.Type, _ body: @Sendable (P) -> R) -> R? {
    state.withLock { state in
      guard let provider = state.services[P.service]?.provider as? P else { return nil }
      return body(provider)
    }
  }

  /// What is known of every service.
  func snapshot() -> [IntegrationService: ServiceSnapshot] {
    state.withLock { state in
      state.services.mapValues {
        ServiceSnapshot(
          enabled: $0.enabled, state: $0.provider.state, counters: $0.provider.counters, broken: $0.broken)
      }
    }
  }

  /// Changes a provider without a request.
  func update<P: IntegrationServiceProvider>(_ type: P.Type, _ body: @Sendable (inout P, ServiceClock) -> Void) {
    mutate { state, outcome in
      guard var offered = state.services[P.service], var provider = offered.provider as? P else { return }
      body(&provider, clock)
      offered.provider = provider
      settle(P.service, &offered, &state, &outcome)
      state.services[P.service] = offered
    }
    doorbells.wake()
  }

  /// Makes a request and waits for its one completion. The provider's own deadlines bound the wait.
  func request<P: IntegrationServiceProvider>(
    _ type: P.Type, _ body: @Sendable (inout P, ServiceRequestID, ServiceClock) -> Void
  ) async throws(ServiceError) -> ServiceResult {
    let result = await withCheckedContinuation { continuation in
      start(type, readers: nil, completion: { continuation.resume(returning: $0) }, body)
    }
    return try result.get()
  }

  /// As `request`; the provider's wishes for file bytes go to `reads`, which ends with the request. `body` learns the
  /// request's id before anything can happen.
  func start<P: IntegrationServiceProvider>(
    _ type: P.Type, readers: AsyncStream<ReadRequest>.Continuation?,
    completion: @escaping @Sendable (Result<ServiceResult, ServiceError>) -> Void,
    _ body: @Sendable (inout P, ServiceRequestID, ServiceClock) -> Void
  ) {
    mutate { state, outcome in
      let id = ServiceRequestID(rawValue: state.nextRequest)
      state.nextRequest &+= 1
      guard !state.stopping, var offered = state.services[P.service], var provider = offered.provider as? P else {
        outcome.completions.append { completion(.failure(.unavailable(.closed))) }
        return
      }
      state.waiting[id] = completion
      if let readers { state.readers[id] = readers }
      body(&provider, id, clock)
      offered.provider = provider
      settle(P.service, &offered, &state, &outcome)
      state.services[P.service] = offered
    }
    doorbells.wake()
  }

  func partitionPaused() { eachProvider { $0.partitionPaused($1) } }
  func partitionResumed() { eachProvider { $0.partitionResumed($1) } }

  private func eachProvider(_ body: @Sendable (inout any IntegrationServiceProvider, ServiceClock) -> Void) {
    mutate { state, outcome in
      for service in Array(state.services.keys) {
        guard var offered = state.services[service] else { continue }
        body(&offered.provider, clock)
        settle(service, &offered, &state, &outcome)
        state.services[service] = offered
      }
    }
    doorbells.wake()
  }

  // MARK: The thread

  /// Starts the thread. It ends with `stop`.
  func start() throws(PartitionError) {
    let handle = try DedicatedThread.forPartition(name: "services") { [self] in run() }
    thread.withLock { $0 = handle }
  }

  /// Ends the thread; every request still waiting ends as `channelClosed`.
  func stop() {
    mutate { state, outcome in
      state.stopping = true
      for service in Array(state.services.keys) {
        guard var offered = state.services[service] else { continue }
        offered.rings = nil
        offered.outgoing.removeAll()
        offered.provider.channelClosed(clock)
        settle(service, &offered, &state, &outcome)
        state.services[service] = offered
      }
      for (_, completion) in state.waiting { outcome.completions.append { completion(.failure(.channelClosed)) } }
      for (_, reader) in state.readers { reader.finish() }
      state.waiting.removeAll()
      state.readers.removeAll()
    }
    doorbells.wake()
    thread.withLock { $0.take() }?.join()
  }

  private func run() {
    while true {
      let (stopping, deadline) = state.withLock { state in
        (state.stopping, state.services.values.compactMap { $0.provider.deadline }.min())
      }
      if stopping { return }
      doorbells.wait(until: deadline)
      mutate { state, outcome in
        for service in Array(state.services.keys) { turn(service, &state, &outcome) }
      }
    }
  }

  // MARK: Under the lock

  /// Runs `body` under the lock, then does what must not be done under it.
  private func mutate<R: Sendable>(_ body: @Sendable (inout State, inout Outcome) -> R) -> R {
    let (result, outcome) = state.withLock { state in
      var outcome = Outcome()
      return (body(&state, &outcome), outcome)
    }
    for (channel, vp) in outcome.signals { port.signal(channel, at: vp) }
    for (service, event) in outcome.events { report(service, event) }
    for completion in outcome.completions { completion() }
    return result
  }

  /// One service's turn: what the guest sent, what is due.
  private func turn(_ service: IntegrationService, _ state: inout State, _ outcome: inout Outcome) {
    guard var offered = state.services[service] else { return }
    let now = clock
    let drained = offered.receive(now)
    if drained.signal { signal(offered, &outcome) }
    if drained.more { doorbells.ring(service) }
    if let deadline = offered.provider.deadline, deadline <= now.monotonic { offered.provider.tick(now) }
    settle(service, &offered, &state, &outcome)
    state.services[service] = offered
  }

  /// Carries a provider's effects out and writes what there is room for.
  private func settle(
    _ service: IntegrationService, _ offered: inout OfferedService, _ state: inout State, _ outcome: inout Outcome
  ) {
    while let effect = offered.provider.nextEffect() {
      switch effect {
      case .send(let payload): offered.enqueue(payload)
      case .event(let event): outcome.events.append((service, event))
      case .completed(let id, let result):
        state.readers.removeValue(forKey: id)?.finish()
        if let completion = state.waiting.removeValue(forKey: id) { outcome.completions.append { completion(result) } }
      case .readFile(let id, let offset, let count):
        state.readers[id]?.yield(ReadRequest(id: id, offset: offset, count: count))
      }
    }
    if offered.flush(clock) { signal(offered, &outcome) }
  }

  private func signal(_ offered: OfferedService, _ outcome: inout Outcome) {
    if let channel = offered.channel { outcome.signals.append((channel, offered.targetVP)) }
  }
}

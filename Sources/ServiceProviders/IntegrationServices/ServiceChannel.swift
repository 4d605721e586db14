// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// What all providers have in common: the negotiation, transaction ids, what is outstanding and until when, faults, and
/// the queue of effects.
///
/// A service has one message outstanding; heartbeats may have a few. A message whose deadline passes stays outstanding
/// ("stalled") until its late reply or the end of the channel: a second request would overtake nothing in the guest.
struct ServiceChannel: Sendable {
  /// One message that the guest has not answered.
  struct Outstanding: Sendable {
    var transaction: UInt8
    var sentAt: UInt64
    /// nil: the deadline has passed already.
    var deadline: UInt64?
    var isNegotiation: Bool
  }

  /// What `receive` made of a packet.
  enum Inbound {
    /// Nothing for the service: a fault, or a negotiation that failed.
    case nothing
    /// The negotiation is done, the service may send.
    case negotiated
    case reply(Reply)
  }

  struct Reply {
    var transaction: UInt8
    var status: IntegrationStatus
    /// Where the body is in the packet.
    var bodyOffset: Int
    var bodySize: Int
    /// The deadline had passed: the request it belonged to is over.
    var isLate: Bool
    var sentAt: UInt64
  }

  /// Whether the guest's daemon is there, where the driver negotiates without one.
  enum Daemon {
    case unknown
    case present
    case missing
  }

  let service: IntegrationService
  let offer: VersionOffer
  let maximumOutstanding: Int
  /// The status word of NEGOTIATE, which no guest looks at, and what came back in its place.
  let negotiationStatus: IntegrationStatus
  private(set) var negotiationStatusCameBack = IntegrationStatus.ok
  /// The provider finds out itself whether there is a daemon.
  let watchesDaemon: Bool
  private(set) var daemon: Daemon
  /// How far the channel has come. For the owner there is `shownState`.
  private(set) var state: ServiceState = .closed
  private(set) var counters = ServiceCounters()
  private(set) var outstanding: [Outstanding] = []
  private var nextTransaction: UInt8 = 0
  private var reported: Set<ServiceFault> = []
  private var effects: [ServiceEffect] = []
  private var waitingEvents = 0
  private(set) var pausedSince: UInt64?

  init(
    _ service: IntegrationService, offer: VersionOffer? = nil, maximumOutstanding: Int = 1,
    negotiationStatus: IntegrationStatus = .ok, watchesDaemon: Bool = false
  ) {
    self.service = service
    self.offer = offer ?? VersionOffer(service)
    self.maximumOutstanding = maximumOutstanding
    self.negotiationStatus = negotiationStatus
    self.watchesDaemon = watchesDaemon
    daemon = watchesDaemon ? .unknown : .present
  }

  /// The state that the owner sees: a driver without its daemon is not ready.
  var shownState: ServiceState {
    guard state.isReady else { return state }
    return switch daemon {
    case .unknown: .negotiating
    case .present: state
    case .missing: .waitingForDaemon
    }
  }

  /// What the provider has found out.
  mutating func daemonIs(_ new: Daemon) {
    guard watchesDaemon, state.isReady, daemon != new else { return }
    daemon = new
    report(.state(shownState))
  }

  // MARK: Life cycle

  mutating func open(_ clock: ServiceClock) {
    counters.opened &+= 1
    outstanding = []
    reported = []
    pausedSince = nil
    if watchesDaemon { daemon = .unknown }
    enter(.negotiating)
    let body = NegotiationMessage(frameworks: offer.frameworks, messages: offer.messages)
    transmit(
      type: .negotiate, framework: offer.frameworks.best, message: offer.messages.best, bodySize: body.bodySize,
      within: ServiceLimits.negotiationPatience, isNegotiation: true, clock
    ) { (bytes: inout MutableRawSpan) throws(WireError) in try body.encode(into: &bytes) }
  }

  mutating func close() {
    outstanding = []
    pausedSince = nil
    enter(.closed)
    // What was to be sent has nowhere to go any more.
    effects.removeAll {
      switch $0 {
      case .send, .readFile: true
      case .event, .completed: false
      }
    }
  }

  mutating func pause(_ clock: ServiceClock) {
    if pausedSince == nil { pausedSince = clock.monotonic }
  }

  /// Moves every deadline by the length of the pause, which it returns.
  @discardableResult
  mutating func resume(_ clock: ServiceClock) -> UInt64 {
    guard let since = pausedSince else { return 0 }
    pausedSince = nil
    let length = clock.monotonic > since ? clock.monotonic - since : 0
    for index in outstanding.indices {
      outstanding[index].sentAt &+= length
      if let deadline = outstanding[index].deadline { outstanding[index].deadline = deadline &+ length }
    }
    return length
  }

  // MARK: Sending

  /// Whether a message may be sent now.
  var canSend: Bool { state.isReady && outstanding.count < maximumOutstanding }

  /// Since when a message whose deadline has passed is outstanding; nil when there is none.
  var stalledSince: UInt64? {
    outstanding.first { $0.deadline == nil && !$0.isNegotiation }?.sentAt
  }

  /// Sends one message of the service; its body is what `encode` writes into `bodySize` zeroed bytes.
  mutating func send(
    bodySize: Int, within limit: UInt64, _ clock: ServiceClock,
    encode: (inout MutableRawSpan) throws(WireError) -> Void
  ) {
    guard case .ready(let framework, let message) = state else { return }
    transmit(
      type: service.messageType, framework: framework, message: message, bodySize: bodySize, within: limit,
      isNegotiation: false, clock, encode: encode)
  }

  private mutating func transmit(
    type: IntegrationMessageType, framework: ServiceVersion, message: ServiceVersion, bodySize: Int,
    within limit: UInt64, isNegotiation: Bool, _ clock: ServiceClock,
    encode: (inout MutableRawSpan) throws(WireError) -> Void
  ) {
    let header = IntegrationHeader(
      framework: framework, type: type, message: message, bodySize: UInt16(clamping: bodySize),
      status: isNegotiation ? negotiationStatus : .ok,
      transaction: takeTransaction(), flags: .transaction.union(.request))
    var packet: [UInt8]
    do throws(WireError) {
      packet = try encodedBytes(IntegrationHeader.wireSize) {
        (bytes: inout MutableRawSpan) throws(WireError) in try header.encode(into: &bytes)
      }
      packet += try encodedBytes(bodySize, encode)
    } catch {
      // The size is ours, and the encoders write within it: only a mistake of ours comes here.
      preconditionFailure("\(service): a body does not fit its own size: \(error)")
    }
    counters.sent &+= 1
    outstanding.append(
      Outstanding(
        transaction: header.transaction, sentAt: clock.monotonic, deadline: clock.monotonic &+ limit,
        isNegotiation: isNegotiation))
    effects.append(.send(packet))
  }

  /// The next id that nothing outstanding has.
  private mutating func takeTransaction() -> UInt8 {
    repeat {
      nextTransaction &+= 1
    } while outstanding.contains { $0.transaction == nextTransaction }
    return nextTransaction
  }

  // MARK: Receiving

  mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) -> Inbound {
    guard state != .closed else {
      fault(.unexpectedReply)
      return .nothing
    }
    let header: IntegrationHeader
    do throws(WireError) {
      header = try IntegrationHeader(decoding: payload)
    } catch {
      if case .truncated = error { fault(.truncated) } else { fault(.malformed) }
      return .nothing
    }
    guard header.flags.contains(.response) else {
      fault(.malformed)
      return .nothing
    }
    let isNegotiation = header.type == .negotiate
    guard isNegotiation || header.type == service.messageType else {
      fault(.wrongType)
      return .nothing
    }
    guard !outstanding.isEmpty else {
      fault(.unexpectedReply)
      return .nothing
    }
    guard
      let index = outstanding.firstIndex(where: {
        $0.transaction == header.transaction && $0.isNegotiation == isNegotiation
      })
    else {
      fault(.wrongTransaction)
      return .nothing
    }
    let request = outstanding.remove(at: index)
    counters.replies &+= 1
    if isNegotiation { return negotiationAnswer(payload, header) }
    let isLate = request.deadline == nil
    if isLate {
      counters.late &+= 1
      report(.lateReply)
    }
    return .reply(
      Reply(
        transaction: header.transaction, status: header.status, bodyOffset: IntegrationHeader.wireSize,
        bodySize: Int(header.bodySize), isLate: isLate, sentAt: request.sentAt))
  }

  private mutating func negotiationAnswer(_ payload: RawSpan, _ header: IntegrationHeader) -> Inbound {
    negotiationStatusCameBack = header.status
    let answer: NegotiationMessage.Answer
    do throws(WireError) {
      let body = try payload.slice(at: IntegrationHeader.wireSize, count: Int(header.bodySize))
      answer = try NegotiationMessage.answer(decoding: body)
    } catch {
      fault(.badNegotiation)
      enter(.unsupported)
      return .nothing
    }
    guard case .chosen(let framework, let message) = answer else {
      enter(.unsupported)
      return .nothing
    }
    guard offer.frameworks.contains(framework), offer.messages.contains(message) else {
      fault(.versionNotOffered)
      enter(.unsupported)
      return .nothing
    }
    enter(.ready(framework: framework, message: message))
    return .negotiated
  }

  // MARK: Time

  var deadline: UInt64? {
    guard pausedSince == nil else { return nil }
    var earliest: UInt64?
    for request in outstanding {
      if let deadline = request.deadline { earliest = min(earliest ?? deadline, deadline) }
    }
    return earliest
  }

  /// Takes note of deadlines that have passed. True when that of a message of the service has.
  mutating func tick(_ clock: ServiceClock) -> Bool {
    guard pausedSince == nil else { return false }
    var passed = false
    for index in outstanding.indices {
      guard let deadline = outstanding[index].deadline, deadline <= clock.monotonic else { continue }
      outstanding[index].deadline = nil
      if outstanding[index].isNegotiation {
        if state == .negotiating { enter(.waitingForDaemon) }
      } else {
        counters.timeouts &+= 1
        passed = true
      }
    }
    return passed
  }

  // MARK: Effects

  mutating func fault(_ fault: ServiceFault) {
    counters.faults[fault, default: 0] &+= 1
    if reported.insert(fault).inserted { report(.fault(fault)) }
  }

  /// Queues an event, unless too many wait already.
  mutating func report(_ event: ServiceEvent) {
    guard waitingEvents < ServiceLimits.events else {
      counters.droppedEvents &+= 1
      return
    }
    waitingEvents += 1
    effects.append(.event(event))
  }

  mutating func complete(_ id: ServiceRequestID, _ result: Result<ServiceResult, ServiceError>) {
    effects.append(.completed(id, result))
  }

  mutating func requestFile(_ id: ServiceRequestID, offset: UInt64, count: Int) {
    effects.append(.readFile(id, offset: offset, count: count))
  }

  mutating func nextEffect() -> ServiceEffect? {
    guard !effects.isEmpty else { return nil }
    let effect = effects.removeFirst()
    if case .event = effect { waitingEvents -= 1 }
    return effect
  }

  private mutating func enter(_ new: ServiceState) {
    guard new != state else { return }
    let shown = shownState
    state = new
    if shownState != shown { report(.state(shownState)) }
  }
}

extension ServiceVersionList {
  /// The version in the header of NEGOTIATE, before anything is chosen.
  var best: ServiceVersion { version(at: 0) ?? ServiceVersion(rawValue: 0) }
}

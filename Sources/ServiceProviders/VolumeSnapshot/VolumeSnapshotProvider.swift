// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Freezes the guest's file systems for a snapshot, and always thaws them again.
///
/// Freezing asks first whether the daemon is there (`hotBackup`), for a failed freeze could mean both. From the moment
/// the freeze is sent the host owes a thaw: it is sent when the owner says so, when the hold time has passed, when the
/// freeze failed or was answered late, and again every five seconds until the guest says that it worked. A thaw too
/// many does no harm: Linux's daemon takes "not frozen" for success. The debt outlives the channel, because a driver
/// or daemon may come back without a reboot.
///
/// Quirk VSS-NO-DAEMON: Linux's driver negotiates without its daemon. So the provider asks by itself whether the daemon is
/// there, every few seconds until it is, and shows `waitingForDaemon` until then.
public struct VolumeSnapshotProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.volumeSnapshot
  /// Between two attempts to thaw.
  public static let thawRetry: UInt64 = 5 * ServiceLimits.second
  /// Thaw requests that may wait.
  static let thawRequestLimit = 8

  /// The message that is outstanding.
  private enum Operation {
    case check
    case freeze
    case thaw
    /// After a failed thaw: is the daemon there at all?
    case probe
    /// The same, asked by the provider on its own.
    case watch
  }

  private enum Phase {
    case checking
    case freezing
    /// The freeze failed; the thaw that follows tells why.
    case failed
  }

  private struct Job {
    let id: ServiceRequestID
    /// nil: only the check was asked for.
    let freeze: (hold: UInt64, answerWithin: UInt64)?
    var phase = Phase.checking
  }

  private var channel: ServiceChannel
  private var operation: Operation?
  private var job: Job?
  private var thawRequests: [ServiceRequestID] = []
  /// A freeze was sent and no thaw has succeeded since.
  private var owesThaw = false
  /// Send the thaw, or the probe, as soon as the channel is free.
  private var thawDue = false
  private var probeDue = false
  private var holdUntil: UInt64?
  private var retryAt: UInt64?
  private var reportedFailure: ServiceError?
  /// When to look for the daemon again; nil while it is there.
  private var watchAt: UInt64?

  public init(offer: VersionOffer? = nil) {
    channel = ServiceChannel(.volumeSnapshot, offer: offer, watchesDaemon: true)
  }

  public var state: ServiceState { channel.shownState }
  public var counters: ServiceCounters { channel.counters }
  /// The guest's file systems are, or may still be, frozen.
  public var isFrozen: Bool { owesThaw }

  public var deadline: UInt64? {
    guard channel.pausedSince == nil else { return nil }
    let next = channel.canSend ? [retryAt, watchAt].compactMap { $0 }.min() : nil
    return [channel.deadline, holdUntil, next].compactMap { $0 }.min()
  }

  // MARK: The owner's requests

  /// Whether the guest can be frozen; completes with `.hotBackup`, or `daemonNotRunning`.
  public mutating func check(id: ServiceRequestID, _ clock: ServiceClock) {
    submit(Job(id: id, freeze: nil), clock)
  }

  /// Completes with `.frozen`, or `freezeFailed`, `daemonNotRunning`, `alreadyFrozen`, `notAnswering`. The host thaws by
  /// itself `holdAtMost` nanoseconds after the guest is frozen, and when the guest does not answer `answerWithin`.
  public mutating func freeze(
    holdAtMost: UInt64 = 60 * ServiceLimits.second, answerWithin: UInt64 = 60 * ServiceLimits.second,
    id: ServiceRequestID, _ clock: ServiceClock
  ) {
    submit(Job(id: id, freeze: (holdAtMost, answerWithin)), clock)
  }

  /// Completes with `.done`; also when nothing was frozen.
  public mutating func thaw(id: ServiceRequestID, _ clock: ServiceClock) {
    guard isAvailable(id, clock) else { return }
    guard thawRequests.count < Self.thawRequestLimit else {
      channel.complete(id, .failure(.queueFull))
      return
    }
    thawRequests.append(id)
    holdUntil = nil
    proceed(clock)
  }

  private mutating func submit(_ new: Job, _ clock: ServiceClock) {
    guard isAvailable(new.id, clock) else { return }
    if new.freeze != nil, owesThaw {
      channel.complete(new.id, .failure(.alreadyFrozen))
    } else if job != nil {
      channel.complete(new.id, .failure(.queueFull))
    } else {
      job = new
      proceed(clock)
    }
  }

  private mutating func isAvailable(_ id: ServiceRequestID, _ clock: ServiceClock) -> Bool {
    guard channel.state.isReady else {
      channel.complete(id, .failure(.unavailable(channel.state)))
      return false
    }
    if let stalled = channel.stalledSince {
      let waited = clock.monotonic > stalled ? clock.monotonic - stalled : 0
      channel.complete(id, .failure(.notAnswering(afterMilliseconds: waited / ServiceLimits.millisecond)))
      return false
    }
    return true
  }

  // MARK: The channel

  public mutating func channelOpened(_ clock: ServiceClock) {
    if channel.state != .closed { channelClosed(clock) }
    channel.open(clock)
  }

  public mutating func channelClosed(_ clock: ServiceClock) {
    finishJob(.failure(.channelClosed))
    finishThaws(.failure(.channelClosed))
    operation = nil
    thawDue = false
    probeDue = false
    holdUntil = nil
    retryAt = nil
    watchAt = nil
    channel.close()
  }

  public mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) {
    switch channel.receive(payload, clock) {
    case .nothing: return
    case .negotiated:
      thawDue = owesThaw
      watchAt = clock.monotonic
    case .reply(let reply):
      let answered = operation
      operation = nil
      // The driver alone says E_FAIL to everything: any other answer is the daemon's.
      if reply.status != .failure { found(.present, clock) }
      switch answered {
      case .check: checked(reply, payload, clock)
      case .freeze: frozen(reply, clock)
      case .thaw: thawed(reply, clock)
      case .probe: thawFailed(reply.status == .ok ? .refused(.failure) : .daemonNotRunning, clock)
      case .watch: found(reply.status == .failure ? .missing : .present, clock)
      case nil: break
      }
    }
    proceed(clock)
  }

  public mutating func tick(_ clock: ServiceClock) {
    guard channel.pausedSince == nil else { return }
    if channel.tick(clock) { timedOut(clock) }
    if let holdUntil, holdUntil <= clock.monotonic {
      self.holdUntil = nil
      channel.report(.snapshot(.holdTimePassed))
      thawDue = true
    }
    if let retryAt, retryAt <= clock.monotonic, channel.canSend {
      self.retryAt = nil
      thawDue = owesThaw
    }
    proceed(clock)
  }

  public mutating func partitionPaused(_ clock: ServiceClock) {
    channel.pause(clock)
  }

  public mutating func partitionResumed(_ clock: ServiceClock) {
    let length = channel.resume(clock)
    holdUntil = holdUntil.map { $0 &+ length }
    retryAt = retryAt.map { $0 &+ length }
    watchAt = watchAt.map { $0 &+ length }
  }

  public mutating func nextEffect() -> ServiceEffect? { channel.nextEffect() }

  // MARK: Steps

  /// Sends what comes next when nothing is outstanding.
  private mutating func proceed(_ clock: ServiceClock) {
    guard channel.canSend else { return }
    if probeDue {
      probeDue = false
      send(.hotBackup, as: .probe, within: ServiceLimits.reply, clock)
    } else if thawDue || !thawRequests.isEmpty {
      thawDue = false
      retryAt = nil
      send(.thaw, as: .thaw, within: ServiceLimits.reply, clock)
    } else if let job {
      switch (job.phase, job.freeze) {
      case (.checking, _): send(.hotBackup, as: .check, within: ServiceLimits.reply, clock)
      case (.freezing, .some(let freeze)):
        owesThaw = true
        reportedFailure = nil
        send(.freeze, as: .freeze, within: freeze.answerWithin, clock)
      case (.freezing, nil), (.failed, _): break
      }
    } else if let watchAt, watchAt <= clock.monotonic {
      self.watchAt = nil
      send(.hotBackup, as: .watch, within: ServiceLimits.reply, clock)
    }
  }

  private mutating func send(
    _ operation: SnapshotOperation, as kind: Operation, within limit: UInt64, _ clock: ServiceClock
  ) {
    self.operation = kind
    let message = SnapshotMessage(operation: operation)
    channel.send(bodySize: SnapshotMessage.bodySize, within: limit, clock) {
      (body: inout MutableRawSpan) throws(WireError) in try message.encode(into: &body)
    }
  }

  private mutating func found(_ daemon: ServiceChannel.Daemon, _ clock: ServiceClock) {
    channel.daemonIs(daemon)
    watchAt = daemon == .present ? nil : clock.monotonic &+ ServiceLimits.daemonWatch
  }

  private mutating func checked(_ reply: ServiceChannel.Reply, _ payload: RawSpan, _ clock: ServiceClock) {
    if reply.status == .failure { found(.missing, clock) }
    guard !reply.isLate, let job else { return }
    guard reply.status == .ok else {
      finishJob(.failure(reply.status == .failure ? .daemonNotRunning : .refused(reply.status)))
      return
    }
    if job.freeze == nil {
      do throws(WireError) {
        let body = try payload.slice(at: reply.bodyOffset, count: reply.bodySize)
        finishJob(.success(.hotBackup(flags: try SnapshotMessage(decoding: body).flags)))
      } catch {
        channel.fault(.badBody)
        finishJob(.failure(.invalidAnswer(.badBody)))
      }
    } else if thawRequests.isEmpty {
      self.job?.phase = .freezing
    } else {
      // A thaw was asked for before the freeze went out.
      finishJob(.failure(.cancelled(remains: .nothing)))
    }
  }

  private mutating func frozen(_ reply: ServiceChannel.Reply, _ clock: ServiceClock) {
    guard !reply.isLate, let freeze = job?.freeze else {
      // The request was given up; whatever the guest did is undone.
      thawDue = true
      return
    }
    if reply.status == .ok {
      holdUntil = clock.monotonic &+ freeze.hold
      channel.report(.snapshot(.frozen))
      finishJob(.success(.frozen(heldAtMostMilliseconds: freeze.hold / ServiceLimits.millisecond)))
    } else {
      job?.phase = .failed
      thawDue = true
    }
  }

  private mutating func thawed(_ reply: ServiceChannel.Reply, _ clock: ServiceClock) {
    guard reply.status == .ok else {
      if reply.status == .failure {
        probeDue = true
      } else {
        thawFailed(.refused(reply.status), clock)
      }
      return
    }
    if owesThaw { channel.report(.snapshot(.thawed)) }
    owesThaw = false
    thawDue = false
    holdUntil = nil
    retryAt = nil
    reportedFailure = nil
    finishThaws(.success(.done))
    if case .failed = job?.phase { finishJob(.failure(.freezeFailed)) }
  }

  private mutating func thawFailed(_ error: ServiceError, _ clock: ServiceClock) {
    if error == .daemonNotRunning { found(.missing, clock) }
    finishThaws(.failure(error))
    if case .failed = job?.phase { finishJob(.failure(error == .daemonNotRunning ? error : .freezeFailed)) }
    guard owesThaw else { return }
    retryAt = clock.monotonic &+ Self.thawRetry
    if reportedFailure != error {
      reportedFailure = error
      channel.report(.snapshot(.thawFailed(error)))
    }
  }

  private mutating func timedOut(_ clock: ServiceClock) {
    let limit = ServiceLimits.reply / ServiceLimits.millisecond
    switch operation {
    case .check: finishJob(.failure(.notAnswering(afterMilliseconds: limit)))
    case .freeze:
      let waited = (job?.freeze?.answerWithin ?? 0) / ServiceLimits.millisecond
      channel.report(.snapshot(.freezeTimedOut))
      finishJob(.failure(.notAnswering(afterMilliseconds: waited)))
      finishThaws(.failure(.notAnswering(afterMilliseconds: waited)))
    case .thaw, .probe: thawFailed(.notAnswering(afterMilliseconds: limit), clock)
    case .watch: channel.daemonIs(.missing)
    case nil: break
    }
  }

  private mutating func finishJob(_ result: Result<ServiceResult, ServiceError>) {
    guard let id = job?.id else { return }
    job = nil
    channel.complete(id, result)
  }

  private mutating func finishThaws(_ result: Result<ServiceResult, ServiceError>) {
    let requests = thawRequests
    thawRequests = []
    for id in requests { channel.complete(id, result) }
  }
}

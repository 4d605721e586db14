// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Copies files from the host into the guest, one at a time; others wait.
///
/// The guest creates the file under its final name when the copy starts, and the protocol cannot rename. So a copy that
/// does not end well is followed by a clean-up, and its error says what it left:
/// - the driver and daemon of Linux 6.1 remove the file when told CANCEL;
/// - the uio daemon of 6.12 knows no CANCEL and never removes a file (quirk FCOPY-UIO-NO-CANCEL): the file is closed,
///   opened again to be cut to zero bytes, and closed;
/// - when nobody answers, nothing can be done, and the error says so.
///
/// The two are told apart by the negotiation: the status word of the request comes back from the driver of 6.1 as it
/// was sent, and as success from the uio daemon (quirk FCOPY-STATUS-ECHO).
///
/// A START that fails for no given reason is followed by one for "/." without overwrite, which a living daemon answers
/// "exists" without touching anything: so a missing daemon and a folder that cannot be written are told apart (quirk
/// FCOPY-PROBE). The same question is asked after the negotiation, which the driver of 6.1 answers without its daemon,
/// and every few seconds until the daemon is there: the state is `waitingForDaemon` until then.
public struct FileCopyProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.fileCopy
  /// Bytes asked of the owner at once: sixteen fragments.
  public static let blockSize = 16 * FileCopyWrite.dataCapacity
  /// Copies that may wait.
  public static let queueLimit = 8
  /// What NEGOTIATE carries as its status.
  static let statusMark = IntegrationStatus(rawValue: 0x0000_4C53)

  var channel: ServiceChannel
  var job: FileCopyJob?
  private var waiting: [FileCopyJob] = []
  /// When to look for the daemon again; nil while it is there. And: a look is outstanding.
  private var watchAt: UInt64?
  private var isWatching = false
  /// The uio daemon of 6.12 is at the other end.
  public private(set) var isUIODaemon = false

  public init(offer: VersionOffer? = nil) {
    channel = ServiceChannel(.fileCopy, offer: offer, negotiationStatus: Self.statusMark, watchesDaemon: true)
  }

  public var state: ServiceState { channel.shownState }
  public var counters: ServiceCounters { channel.counters }

  public var deadline: UInt64? {
    guard channel.pausedSince == nil else { return nil }
    let watch = channel.canSend && job == nil ? watchAt : nil
    return [channel.deadline, watch].compactMap { $0 }.min()
  }

  // MARK: The owner's requests

  /// Starts a copy. Its bytes are asked for with `.readFile`; it completes with `.copied`, or `fileExists`,
  /// `cannotCreate`, `daemonNotRunning`, `diskFull`, `writeFailed`, `copyInterrupted`, `sourceFailed`, `cancelled`,
  /// `nameNotSupported`, `invalidRequest`, `queueFull`, `unavailable`, `notAnswering`.
  public mutating func copy(_ request: FileCopyRequest, id: ServiceRequestID, _ clock: ServiceClock) {
    do throws(ServiceError) {
      guard channel.state.isReady else { throw .unavailable(channel.state) }
      try request.check()
      if isUIODaemon { try request.checkForUIODaemon() }
      if let stalled = channel.stalledSince {
        let waited = clock.monotonic > stalled ? clock.monotonic - stalled : 0
        throw .notAnswering(afterMilliseconds: waited / ServiceLimits.millisecond)
      }
      guard waiting.count < Self.queueLimit else { throw .queueFull }
    } catch {
      channel.complete(id, .failure(error))
      return
    }
    waiting.append(FileCopyJob(id: id, request: request))
    begin(clock)
  }

  /// The owner's answer to `.readFile`: exactly the bytes that were asked for. Fewer fail the copy: the file became
  /// shorter meanwhile. An answer that nobody waits for is dropped.
  public mutating func supply(_ bytes: [UInt8], offset: UInt64, id: ServiceRequestID, _ clock: ServiceClock) {
    guard let job, job.id == id, case .reading = job.step, offset == job.copied else { return }
    guard bytes.count == job.requested else {
      fail(.source("the file changed while it was copied"), clock)
      return
    }
    self.job?.buffer = bytes[...]
    sendFragment(clock)
  }

  /// The owner cannot read the file.
  public mutating func sourceFailed(_ reason: String, id: ServiceRequestID, _ clock: ServiceClock) {
    guard let job, job.id == id, case .reading = job.step else { return }
    fail(.source(reason), clock)
  }

  /// Ends a copy; the guest is asked to remove what it has. Completes with `cancelled(remains:)`, or with the copy's own
  /// result when that was on its way already.
  public mutating func cancel(id: ServiceRequestID, _ clock: ServiceClock) {
    if let index = waiting.firstIndex(where: { $0.id == id }) {
      waiting.remove(at: index)
      channel.complete(id, .failure(.cancelled(remains: .nothing)))
    } else if let job, job.id == id {
      if case .reading = job.step {
        fail(.cancelled, clock)
      } else {
        self.job?.cancelWanted = true
      }
    }
  }

  // MARK: The channel

  public mutating func channelOpened(_ clock: ServiceClock) {
    if channel.state != .closed { channelClosed(clock) }
    isUIODaemon = false
    channel.open(clock)
  }

  public mutating func channelClosed(_ clock: ServiceClock) {
    if let job {
      switch job.step {
      case .starting, .probing:
        // A START that was not answered may have made the file.
        let made = if case .starting = job.step { true } else { false }
        finish(
          .failure(made ? .copyInterrupted(reason: .channelClosed, remains: .perhapsPartialFile) : .channelClosed))
      default:
        if job.failure == nil { self.job?.failure = .interrupted(.channelClosed) }
        finishCleanUp(.perhapsPartialFile)
      }
    }
    failWaiting(.channelClosed)
    watchAt = nil
    isWatching = false
    channel.close()
  }

  public mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) {
    switch channel.receive(payload, clock) {
    case .nothing: return
    case .negotiated:
      isUIODaemon = channel.negotiationStatusCameBack != Self.statusMark
      // The uio daemon has answered itself; behind the driver there may be none.
      if isUIODaemon {
        channel.daemonIs(.present)
      } else {
        watchAt = clock.monotonic
      }
    case .reply(let reply):
      if isWatching {
        isWatching = false
        found(reply.status == .failure ? .missing : .present, clock)
      } else {
        if reply.status != .failure { found(.present, clock) }
        answered(reply.status, clock)
      }
    }
    begin(clock)
  }

  public mutating func tick(_ clock: ServiceClock) {
    guard channel.pausedSince == nil else { return }
    guard channel.tick(clock) else {
      begin(clock)
      return
    }
    if isWatching { channel.daemonIs(.missing) }
    let limit = ServiceLimits.reply / ServiceLimits.millisecond
    if let job {
      switch job.step {
      case .probing:
        // The START before it failed: there is no file.
        finish(.failure(.notAnswering(afterMilliseconds: limit)))
      default:
        if job.failure == nil { self.job?.failure = .interrupted(.notAnswering) }
        report(.perhapsPartialFile)
        self.job?.id = nil
        self.job?.attempts += 1
        if case .starting = job.step { self.job?.startUnanswered = true }
        self.job?.step = .abandoned
      }
    }
    failWaiting(.notAnswering(afterMilliseconds: limit))
  }

  public mutating func partitionPaused(_ clock: ServiceClock) {
    channel.pause(clock)
  }

  public mutating func partitionResumed(_ clock: ServiceClock) {
    let length = channel.resume(clock)
    watchAt = watchAt.map { $0 &+ length }
  }

  public mutating func nextEffect() -> ServiceEffect? { channel.nextEffect() }

  // MARK: Ends

  /// Starts the next copy when there is none, or looks for the daemon when that is due.
  private mutating func begin(_ clock: ServiceClock) {
    guard job == nil, channel.canSend else { return }
    if !waiting.isEmpty {
      let next = waiting.removeFirst()
      job = next
      sendStart(next.request, clock)
    } else if let watchAt, watchAt <= clock.monotonic {
      self.watchAt = nil
      isWatching = true
      sendProbe(clock)
    }
  }

  /// Whether there is a daemon has turned out.
  mutating func found(_ daemon: ServiceChannel.Daemon, _ clock: ServiceClock) {
    channel.daemonIs(daemon)
    watchAt = daemon == .present ? nil : clock.monotonic &+ ServiceLimits.daemonWatch
  }

  /// Ends the copy with its result; what is outstanding, if anything, is nobody's then.
  mutating func finish(_ result: Result<ServiceResult, ServiceError>) {
    guard let job else { return }
    self.job = nil
    if let id = job.id { channel.complete(id, result) }
  }

  /// Ends the copy with the error that its failure and what it left make.
  mutating func finishCleanUp(_ remains: FileRemains) {
    report(remains)
    job = nil
  }

  private mutating func report(_ remains: FileRemains) {
    guard let job, let id = job.id else { return }
    let error: ServiceError =
      switch job.failure {
      case .cancelled, nil: .cancelled(remains: remains)
      case .diskFull: .diskFull(remains: remains)
      case .write(let status): .writeFailed(IntegrationStatus(rawValue: status), remains: remains)
      case .source(let reason): .sourceFailed(reason, remains: remains)
      case .interrupted(let reason): .copyInterrupted(reason: reason, remains: remains)
      }
    channel.complete(id, .failure(error))
  }

  private mutating func failWaiting(_ error: ServiceError) {
    let jobs = waiting
    waiting = []
    for job in jobs {
      if let id = job.id { channel.complete(id, .failure(error)) }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Tells the guest the time, and when to set its clock.
public struct TimeSynchronizationProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.timeSynchronization
  /// A difference between the host's wall clock and its monotonic clock, or between a planned and a real tick, that
  /// makes the guest's clock wrong. 100 ns units: half a second.
  static let jump: UInt64 = 5_000_000

  public var policy: TimePolicy
  private var channel: ServiceChannel
  private var nextSample: UInt64?
  private var nextSet: UInt64?
  /// The next message must set the clock.
  private var mustSet = false
  /// The clocks at the newest look at them, to notice jumps.
  private var previous: ServiceClock?

  public init(policy: TimePolicy = TimePolicy(), offer: VersionOffer? = nil) {
    self.policy = policy
    channel = ServiceChannel(.timeSynchronization, offer: offer)
  }

  public var state: ServiceState { channel.state }
  public var counters: ServiceCounters { channel.counters }

  public var deadline: UInt64? {
    guard channel.pausedSince == nil else { return nil }
    let message = channel.canSend ? [nextSample, nextSet].compactMap { $0 }.min() : nil
    return [channel.deadline, message].compactMap { $0 }.min()
  }

  /// The guest sets its clock at once, or as soon as it has answered what is outstanding.
  public mutating func setNow(_ clock: ServiceClock) {
    mustSet = true
    send(clock)
  }

  public mutating func channelOpened(_ clock: ServiceClock) {
    if channel.state != .closed { channelClosed(clock) }
    mustSet = true
    previous = clock
    channel.open(clock)
  }

  public mutating func channelClosed(_ clock: ServiceClock) {
    nextSample = nil
    nextSet = nil
    channel.close()
  }

  public mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) {
    noticeJump(clock)
    switch channel.receive(payload, clock) {
    case .nothing: return
    case .negotiated: send(clock)
    case .reply(let reply):
      if reply.status != .ok { channel.fault(.badBody) }
      if mustSet { send(clock) }
    }
  }

  public mutating func tick(_ clock: ServiceClock) {
    guard channel.pausedSince == nil else { return }
    _ = channel.tick(clock)
    noticeJump(clock)
    if mustSet || isDue(nextSet, clock) || isDue(nextSample, clock) { send(clock) }
  }

  public mutating func partitionPaused(_ clock: ServiceClock) {
    channel.pause(clock)
  }

  /// The guest's clock stood still: it is set at once, however short the pause was.
  public mutating func partitionResumed(_ clock: ServiceClock) {
    channel.resume(clock)
    previous = clock
    setNow(clock)
  }

  public mutating func nextEffect() -> ServiceEffect? { channel.nextEffect() }

  /// The host's clock was set, or this process was stopped for a while and the guest with it.
  private mutating func noticeJump(_ clock: ServiceClock) {
    defer { previous = clock }
    guard let previous, clock.monotonic >= previous.monotonic else { return }
    let elapsed = (clock.monotonic - previous.monotonic) / 100
    let expectedHost = previous.hostTime &+ elapsed
    let expectedReference = previous.referenceTime &+ elapsed
    if Self.distance(expectedHost, clock.hostTime) > Self.jump
      || Self.distance(expectedReference, clock.referenceTime) > Self.jump
    {
      mustSet = true
    }
  }

  private static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 { a > b ? a - b : b - a }

  private mutating func send(_ clock: ServiceClock) {
    guard channel.canSend, channel.pausedSince == nil, case .ready(_, let version) = channel.state else { return }
    let kind: TimeMessageKind = mustSet ? .requiredSet : isDue(nextSet, clock) ? .routineSet : .sample
    let flags: TimeFlags = kind == .sample ? .sample : .synchronize
    if version >= ServiceVersion(4, 0) {
      let message = ReferenceTimeMessage(hostTime: clock.hostTime, referenceTime: clock.referenceTime, flags: flags)
      channel.send(bodySize: ReferenceTimeMessage.bodySize, within: ServiceLimits.reply, clock) {
        (body: inout MutableRawSpan) throws(WireError) in try message.encode(into: &body)
      }
    } else {
      let message = TimeMessage(hostTime: clock.hostTime, flags: flags)
      channel.send(bodySize: TimeMessage.bodySize, within: ServiceLimits.reply, clock) {
        (body: inout MutableRawSpan) throws(WireError) in try message.encode(into: &body)
      }
    }
    mustSet = false
    nextSample = clock.monotonic &+ policy.sampleInterval
    if kind != .sample || nextSet == nil { nextSet = policy.setInterval.map { clock.monotonic &+ $0 } }
    channel.report(.timeSent(kind))
  }

  private func isDue(_ time: UInt64?, _ clock: ServiceClock) -> Bool { time.map { $0 <= clock.monotonic } ?? false }
}

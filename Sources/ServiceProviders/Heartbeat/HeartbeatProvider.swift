// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Asks the guest every two seconds whether it is alive, and says when it no longer answers.
///
/// `lost` comes `lostAfter` after the newest answer, however many heartbeats were sent since. Up to four may be
/// unanswered: one lost packet or interrupt does not end the contact.
public struct HeartbeatProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.heartbeat
  public static let interval: UInt64 = 2 * ServiceLimits.second
  public static let lostAfter: UInt64 = 20 * ServiceLimits.second
  static let maximumOutstanding = 4

  public private(set) var status = HeartbeatStatus()
  private var channel: ServiceChannel
  private var sequence: UInt64 = 0
  /// Sequence numbers sent, by transaction.
  private var sequences: [UInt8: UInt64] = [:]
  private var nextBeat: UInt64?
  /// Monotonic time of the newest answer since the channel was opened.
  private var lastAnswer: UInt64?

  public init(offer: VersionOffer? = nil) {
    channel = ServiceChannel(.heartbeat, offer: offer, maximumOutstanding: Self.maximumOutstanding)
  }

  public var state: ServiceState { channel.state }
  public var counters: ServiceCounters { channel.counters }

  public var deadline: UInt64? {
    guard channel.pausedSince == nil else { return nil }
    let loss = status.state == .ok ? lastAnswer.map { $0 &+ Self.lostAfter } : nil
    let beat = channel.canSend ? nextBeat : nil
    return [channel.deadline, loss, beat].compactMap { $0 }.min()
  }

  public mutating func channelOpened(_ clock: ServiceClock) {
    if channel.state != .closed { channelClosed(clock) }
    if status.since == 0 { status.since = clock.hostTime }
    channel.open(clock)
  }

  public mutating func channelClosed(_ clock: ServiceClock) {
    channel.close()
    sequences = [:]
    nextBeat = nil
    lastAnswer = nil
    enter(.noContact, clock)
  }

  public mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) {
    switch channel.receive(payload, clock) {
    case .nothing: return
    case .negotiated: beat(clock)
    case .reply(let reply):
      let expected = sequences.removeValue(forKey: reply.transaction)
      let answer: HeartbeatMessage
      do throws(WireError) {
        answer = try HeartbeatMessage(decoding: payload.slice(at: reply.bodyOffset, count: reply.bodySize))
      } catch {
        channel.fault(.badBody)
        return
      }
      guard reply.status == .ok, let expected, answer.sequence == expected &+ 1 else {
        channel.fault(.badSequence)
        return
      }
      lastAnswer = clock.monotonic
      status.lastAnswer = clock.hostTime
      status.answers &+= 1
      enter(.ok, clock)
    }
  }

  public mutating func tick(_ clock: ServiceClock) {
    guard channel.pausedSince == nil else { return }
    _ = channel.tick(clock)
    if let nextBeat, nextBeat <= clock.monotonic, channel.canSend { beat(clock) }
    if status.state == .ok, let lastAnswer, lastAnswer &+ Self.lostAfter <= clock.monotonic { enter(.lost, clock) }
  }

  public mutating func partitionPaused(_ clock: ServiceClock) {
    channel.pause(clock)
  }

  public mutating func partitionResumed(_ clock: ServiceClock) {
    let length = channel.resume(clock)
    lastAnswer = lastAnswer.map { $0 &+ length }
    nextBeat = nextBeat.map { $0 &+ length }
  }

  public mutating func nextEffect() -> ServiceEffect? { channel.nextEffect() }

  private mutating func beat(_ clock: ServiceClock) {
    sequence &+= 1
    let message = HeartbeatMessage(sequence: sequence)
    channel.send(bodySize: HeartbeatMessage.bodySize, within: Self.lostAfter, clock) {
      (body: inout MutableRawSpan) throws(WireError) in try message.encode(into: &body)
    }
    if let transaction = channel.outstanding.last?.transaction { sequences[transaction] = sequence }
    nextBeat = clock.monotonic &+ Self.interval
  }

  private mutating func enter(_ state: HeartbeatState, _ clock: ServiceClock) {
    guard state != status.state else { return }
    status.state = state
    status.since = clock.hostTime
    channel.report(.heartbeat(state))
  }
}

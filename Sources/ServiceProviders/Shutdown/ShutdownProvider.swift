// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Asks the guest to power off, restart or hibernate.
///
/// The guest's agreement completes the request; that it then does it shows in the channel's end. When that does not
/// come within the request's time-out, `shutdownOverdue` is reported once.
public struct ShutdownProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.shutdown

  private var channel: ServiceChannel
  private var current: ServiceRequestID?
  /// How long the guest has once it agrees, nanoseconds.
  private var grace: UInt64 = 0
  /// Monotonic time at which an accepted shutdown is overdue.
  private var overdueAt: UInt64?

  public init(offer: VersionOffer? = nil) {
    channel = ServiceChannel(.shutdown, offer: offer)
  }

  public var state: ServiceState { channel.state }
  public var counters: ServiceCounters { channel.counters }
  /// The guest agreed and has not gone yet.
  public var isUnderWay: Bool { overdueAt != nil }

  public var deadline: UInt64? {
    guard channel.pausedSince == nil else { return nil }
    return [channel.deadline, overdueAt].compactMap { $0 }.min()
  }

  /// Completes with `.shutdownAccepted`, or an error: `unavailable`, `queueFull` (another request is outstanding),
  /// `notAnswering`, `refused`, `channelClosed`.
  public mutating func request(_ request: ShutdownRequest, id: ServiceRequestID, _ clock: ServiceClock) {
    guard channel.state.isReady else {
      channel.complete(id, .failure(.unavailable(channel.state)))
      return
    }
    guard current == nil else {
      channel.complete(id, .failure(.queueFull))
      return
    }
    if let stalled = channel.stalledSince {
      // The guest still owes the answer to a request that was given up.
      let waited = clock.monotonic > stalled ? clock.monotonic - stalled : 0
      channel.complete(id, .failure(.notAnswering(afterMilliseconds: waited / ServiceLimits.millisecond)))
      return
    }
    let head = ShutdownMessage(reason: request.reason, timeoutSeconds: request.timeoutSeconds, flags: request.flags)
    // One unit of the field stays for the terminator.
    let text = Array(request.message.utf16.prefix(ShutdownMessage.textSize / 2 - 1))
    channel.send(bodySize: ShutdownMessage.bodySize, within: ServiceLimits.reply, clock) {
      (body: inout MutableRawSpan) throws(WireError) in
      try head.encode(into: &body)
      for (index, unit) in text.enumerated() {
        try body.write(unit, at: ShutdownMessage.textOffset + 2 * index)
      }
    }
    current = id
    grace = UInt64(request.timeoutSeconds) * ServiceLimits.second
  }

  public mutating func channelOpened(_ clock: ServiceClock) {
    if channel.state != .closed { channelClosed(clock) }
    channel.open(clock)
  }

  public mutating func channelClosed(_ clock: ServiceClock) {
    overdueAt = nil
    finish(.failure(.channelClosed))
    channel.close()
  }

  public mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) {
    guard case .reply(let reply) = channel.receive(payload, clock) else { return }
    if reply.status == .ok {
      // Also when it is late: the guest is going down now.
      overdueAt = clock.monotonic &+ grace
      finish(.success(.shutdownAccepted))
    } else {
      finish(.failure(.refused(reply.status)))
    }
  }

  public mutating func tick(_ clock: ServiceClock) {
    guard channel.pausedSince == nil else { return }
    if channel.tick(clock) {
      finish(.failure(.notAnswering(afterMilliseconds: ServiceLimits.reply / ServiceLimits.millisecond)))
    }
    if let overdueAt, overdueAt <= clock.monotonic {
      self.overdueAt = nil
      channel.report(.shutdownOverdue)
    }
  }

  public mutating func partitionPaused(_ clock: ServiceClock) {
    channel.pause(clock)
  }

  public mutating func partitionResumed(_ clock: ServiceClock) {
    let length = channel.resume(clock)
    overdueAt = overdueAt.map { $0 &+ length }
  }

  public mutating func nextEffect() -> ServiceEffect? { channel.nextEffect() }

  private mutating func finish(_ result: Result<ServiceResult, ServiceError>) {
    guard let id = current else { return }
    current = nil
    channel.complete(id, result)
  }
}

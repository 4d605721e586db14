// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Freezes the guest's file systems for a snapshot, and always thaws them again.
public struct VolumeSnapshotProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.volumeSnapshot

  private var channel: ServiceChannel
  /// The guest's file systems are frozen, as far as the host knows.
  public private(set) var isFrozen = false

  /// Whether the guest can be frozen; completes with `.hotBackup`, or `daemonNotRunning`.
  public mutating func check(id: ServiceRequestID, _ clock: ServiceClock) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Completes with `.frozen`, or `freezeFailed`, `daemonNotRunning`, `alreadyFrozen`, `notAnswering`. The host thaws by
  /// itself `holdAtMost` nanoseconds after the guest is frozen, and when the guest does not answer `answerWithin`.
  public mutating func freeze(
    holdAtMost: UInt64 = 60 * ServiceLimits.second, answerWithin: UInt64 = 60 * ServiceLimits.second,
    id: ServiceRequestID, _ clock: ServiceClock
  ) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Completes with `.done`; also when nothing was frozen.
  public mutating func thaw(id: ServiceRequestID, _ clock: ServiceClock) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  public init(offer: VersionOffer? = nil) {
    channel = ServiceChannel(Self.service, offer: offer)
  }

  public var state: ServiceState { channel.state }
  public var counters: ServiceCounters { channel.counters }
  public var deadline: UInt64? { channel.deadline }

  public mutating func channelOpened(_ clock: ServiceClock) {
    if channel.state != .closed { channelClosed(clock) }
    channel.open(clock)
  }

  public mutating func channelClosed(_ clock: ServiceClock) {
    channel.close()
  }

  public mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) {
    _ = channel.receive(payload, clock)
  }

  public mutating func tick(_ clock: ServiceClock) {
    _ = channel.tick(clock)
  }

  public mutating func nextEffect() -> ServiceEffect? { channel.nextEffect() }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Copies files from the host into the guest, one at a time.
public struct FileCopyProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.fileCopy

  private var channel: ServiceChannel

  /// Starts a copy. Its bytes are asked for with `.readFile`; it completes with `.copied`.
  public mutating func copy(_ request: FileCopyRequest, id: ServiceRequestID, _ clock: ServiceClock) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// The owner's answer to `.readFile`: exactly the bytes that were asked for, or fewer when the file became shorter
  /// (which fails the copy).
  public mutating func supply(
    _ bytes: [UInt8], offset: UInt64, id: ServiceRequestID, _ clock: ServiceClock
  ) {}

  /// The owner cannot read the file.
  public mutating func sourceFailed(_ reason: String, id: ServiceRequestID, _ clock: ServiceClock) {}

  /// Ends a copy; the guest is asked to remove what it has. Completes with `cancelled(remains:)`.
  public mutating func cancel(id: ServiceRequestID, _ clock: ServiceClock) {}

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

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The host's end of one integration service: a value that the owner calls on one thread.
///
/// After every call the owner drains `nextEffect()` and looks at `deadline` again. No call blocks, looks at a clock or
/// traps on anything the guest sent.
public protocol IntegrationServiceProvider: Sendable {
  static var service: IntegrationService { get }

  var state: ServiceState { get }
  var counters: ServiceCounters { get }
  /// Monotonic nanoseconds at which `tick` wants to run; nil when only the guest or the owner can move things on.
  var deadline: UInt64? { get }

  /// The guest opened the channel: negotiation starts. Calling it on an open channel counts as close and open.
  mutating func channelOpened(_ clock: ServiceClock)
  /// The channel is gone: every request ends, nothing more is sent.
  mutating func channelClosed(_ clock: ServiceClock)
  /// One in-band packet's payload, already a private copy.
  mutating func receive(_ payload: RawSpan, _ clock: ServiceClock)
  mutating func tick(_ clock: ServiceClock)
  /// The partition stopped running by the host's will: silence is no sign of trouble until it is resumed.
  mutating func partitionPaused(_ clock: ServiceClock)
  mutating func partitionResumed(_ clock: ServiceClock)
  mutating func nextEffect() -> ServiceEffect?
}

extension IntegrationServiceProvider {
  public var service: IntegrationService { Self.service }
  public var name: String { Self.service.name.description }
  public var classID: GUID { Self.service.classID }
  public var instanceID: GUID { Self.service.instanceID }

  public mutating func partitionPaused(_ clock: ServiceClock) {}
  public mutating func partitionResumed(_ clock: ServiceClock) {}
}

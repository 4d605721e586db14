// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Reads and writes the guest's key-value pools, and the IP settings of its network adapters.
public struct KeyValueProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.keyValuePair
  /// The most pairs that an enumeration brings, unless its caller asks for fewer: a hostile guest never ends one.
  public static let enumerationLimit = 4096

  private var channel: ServiceChannel

  /// The host's own items, which are written to the guest's pool 3 after every negotiation and when they change.
  public private(set) var hostItems: [KeyValueItem] = []

  public mutating func setHostItems(_ items: [KeyValueItem], _ clock: ServiceClock) {
    hostItems = items
  }

  /// Completes with `.items`.
  public mutating func enumerate(
    _ pool: KeyValuePool, limit: Int = KeyValueProvider.enumerationLimit, id: ServiceRequestID, _ clock: ServiceClock
  ) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Completes with `.item`, or `noSuchKey`.
  public mutating func get(_ key: String, in pool: KeyValuePool, id: ServiceRequestID, _ clock: ServiceClock) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Completes with `.done`, or `keyExists` (mode add), `noSuchKey` (mode modify), `invalidRequest` (too long).
  public mutating func set(
    _ item: KeyValueItem, in pool: KeyValuePool, mode: KeyValueWriteMode = .set, id: ServiceRequestID,
    _ clock: ServiceClock
  ) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Completes with `.done`, or `noSuchKey`.
  public mutating func delete(_ key: String, in pool: KeyValuePool, id: ServiceRequestID, _ clock: ServiceClock) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Completes with `.adapterConfiguration`. Linux finds the adapter by its MAC address ("00:15:5D:01:02:03").
  public mutating func adapterConfiguration(macAddress: String, id: ServiceRequestID, _ clock: ServiceClock) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Completes with `.done`. Linux finds the adapter by its instance GUID, unlike in the reading direction.
  public mutating func setAdapterConfiguration(
    _ configuration: AdapterConfiguration, adapter: GUID, id: ServiceRequestID, _ clock: ServiceClock
  ) {
    channel.complete(id, .failure(.unavailable(channel.state)))
  }

  /// Ends a request that still waits or is under way.
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

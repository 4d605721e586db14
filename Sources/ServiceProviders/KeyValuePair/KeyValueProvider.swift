// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Reads and writes the guest's key-value pools, and the IP settings of its network adapters.
///
/// Requests wait in a queue and are worked off one message at a time. When the guest lets a message's deadline pass,
/// that request and all that wait fail with `notAnswering`, and so do new ones until the guest has answered after all
/// or the channel was closed: an owner never waits longer than one deadline.
///
/// Quirk KVP-GET-EMPTY: Linux answers the get operation without the value (kvp_send_key passes no value size to the
/// daemon, kvp_respond_to_host then reads at the offset of an enumeration). It does tell whether the key is there. So
/// `get` enumerates, and the operation itself serves for the modes add and modify.
public struct KeyValueProvider: IntegrationServiceProvider {
  public static let service = IntegrationService.keyValuePair
  /// The most pairs that an enumeration brings, unless its caller asks for fewer: a hostile guest never ends one.
  public static let enumerationLimit = 4096
  /// Message version from which on addresses can be asked for and set.
  static let addressesVersion = ServiceVersion(4, 0)

  /// The host's own items, written to the guest's pool 3 after every negotiation and when they change. Items that
  /// break `KeyValueLimits` are left out.
  public private(set) var hostItems: [KeyValueItem] = []

  var channel: ServiceChannel
  var current: KeyValueJob?
  private var waiting: [KeyValueJob] = []
  private var hostItemsToSend: [KeyValueItem] = []

  public init(hostItems: [KeyValueItem] = [], offer: VersionOffer? = nil) {
    channel = ServiceChannel(.keyValuePair, offer: offer)
    self.hostItems = Self.sendable(hostItems)
  }

  public var state: ServiceState { channel.state }
  public var counters: ServiceCounters { channel.counters }
  public var deadline: UInt64? { channel.deadline }

  // MARK: The owner's requests

  public mutating func setHostItems(_ items: [KeyValueItem], _ clock: ServiceClock) {
    hostItems = Self.sendable(items)
    guard channel.state.isReady else { return }
    hostItemsToSend = hostItems
    proceed(clock)
  }

  /// Completes with `.items`, at most `limit`.
  public mutating func enumerate(
    _ pool: KeyValuePool, limit: Int = KeyValueProvider.enumerationLimit, id: ServiceRequestID, _ clock: ServiceClock
  ) {
    submit(.enumerate(pool, limit: min(max(limit, 0), Self.enumerationLimit)), id, clock)
  }

  /// Completes with `.item`, or `noSuchKey`.
  public mutating func get(_ key: String, in pool: KeyValuePool, id: ServiceRequestID, _ clock: ServiceClock) {
    submit(.get(key, pool), id, clock)
  }

  /// Completes with `.done`, or `keyExists` (mode add), `noSuchKey` (mode modify), `invalidRequest` (too long).
  public mutating func set(
    _ item: KeyValueItem, in pool: KeyValuePool, mode: KeyValueWriteMode = .set, id: ServiceRequestID,
    _ clock: ServiceClock
  ) {
    do throws(ServiceError) {
      try KeyValueLimits.check(key: item.key)
      try KeyValueLimits.check(value: item.value)
      try Self.checkWritable(pool)
    } catch {
      channel.complete(id, .failure(error))
      return
    }
    submit(.set(item, pool, mode), id, clock)
  }

  /// Completes with `.done`, or `noSuchKey`.
  public mutating func delete(_ key: String, in pool: KeyValuePool, id: ServiceRequestID, _ clock: ServiceClock) {
    do throws(ServiceError) {
      try KeyValueLimits.check(key: key)
      try Self.checkWritable(pool)
    } catch {
      channel.complete(id, .failure(error))
      return
    }
    submit(.delete(key, pool), id, clock)
  }

  /// Completes with `.adapterConfiguration`, or `adapterNotFound`. Linux finds the adapter by its MAC address
  /// ("00:15:5D:01:02:03"; kvp_mac_to_ip in tools/hv/hv_kvp_daemon.c), and only one that has an address.
  public mutating func adapterConfiguration(macAddress: String, id: ServiceRequestID, _ clock: ServiceClock) {
    let macAddress = macAddress.uppercased()
    do throws(ServiceError) {
      try KeyValueLimits.check(macAddress, "MAC address", units: AdapterAddressRecord.adapter.units - 1, bytes: 127)
    } catch {
      channel.complete(id, .failure(error))
      return
    }
    submit(.addresses(macAddress: macAddress), id, clock)
  }

  /// Completes with `.done`, or `adapterNotFound`. Linux finds the adapter by its instance GUID, unlike in the reading
  /// direction. Success says only that the guest's script ran.
  public mutating func setAdapterConfiguration(
    _ configuration: AdapterConfiguration, adapter: GUID, id: ServiceRequestID, _ clock: ServiceClock
  ) {
    do throws(ServiceError) {
      try configuration.check()
    } catch {
      channel.complete(id, .failure(error))
      return
    }
    submit(.setAddresses(configuration, adapter: adapter), id, clock)
  }

  /// Ends a request that waits or is under way; what the guest does with a message already sent is unknown.
  public mutating func cancel(id: ServiceRequestID, _ clock: ServiceClock) {
    if current?.id == id {
      finish(.failure(.cancelled(remains: .nothing)))
    } else if let index = waiting.firstIndex(where: { $0.id == id }) {
      waiting.remove(at: index)
      channel.complete(id, .failure(.cancelled(remains: .nothing)))
    }
    proceed(clock)
  }

  // MARK: The channel

  public mutating func channelOpened(_ clock: ServiceClock) {
    if channel.state != .closed { channelClosed(clock) }
    channel.open(clock)
  }

  public mutating func channelClosed(_ clock: ServiceClock) {
    hostItemsToSend = []
    failAll(.channelClosed)
    channel.close()
  }

  public mutating func receive(_ payload: RawSpan, _ clock: ServiceClock) {
    switch channel.receive(payload, clock) {
    case .nothing: return
    case .negotiated: hostItemsToSend = hostItems
    case .reply(let reply):
      if !reply.isLate, current != nil {
        answered(reply, payload, clock)
      }
    }
    proceed(clock)
  }

  public mutating func tick(_ clock: ServiceClock) {
    if channel.tick(clock) {
      hostItemsToSend = []
      failAll(.notAnswering(afterMilliseconds: ServiceLimits.reply / ServiceLimits.millisecond))
    }
  }

  public mutating func partitionPaused(_ clock: ServiceClock) {
    channel.pause(clock)
  }

  public mutating func partitionResumed(_ clock: ServiceClock) {
    channel.resume(clock)
  }

  public mutating func nextEffect() -> ServiceEffect? { channel.nextEffect() }

  // MARK: The queue

  private mutating func submit(_ kind: KeyValueJob.Kind, _ id: ServiceRequestID, _ clock: ServiceClock) {
    guard case .ready(_, let version) = channel.state else {
      channel.complete(id, .failure(.unavailable(channel.state)))
      return
    }
    switch kind {
    case .addresses, .setAddresses:
      guard version >= Self.addressesVersion else {
        channel.complete(id, .failure(.unsupportedByVersion))
        return
      }
    default: break
    }
    if let stalled = channel.stalledSince {
      let waited = clock.monotonic > stalled ? clock.monotonic - stalled : 0
      channel.complete(id, .failure(.notAnswering(afterMilliseconds: waited / ServiceLimits.millisecond)))
      return
    }
    guard waiting.count < ServiceLimits.requests else {
      channel.complete(id, .failure(.queueFull))
      return
    }
    waiting.append(KeyValueJob(id: id, kind: kind))
    proceed(clock)
  }

  /// Sends the next message when none is outstanding: of the current request, or of the next.
  private mutating func proceed(_ clock: ServiceClock) {
    while channel.canSend {
      if current == nil {
        if !hostItemsToSend.isEmpty {
          current = KeyValueJob(id: nil, kind: .set(hostItemsToSend.removeFirst(), .automaticExternal, .set))
        } else if !waiting.isEmpty {
          current = waiting.removeFirst()
        } else {
          return
        }
      }
      // Sends, or finishes a request that needs no message.
      sendStep(clock)
    }
  }

  /// Ends the current request.
  mutating func finish(_ result: Result<ServiceResult, ServiceError>) {
    guard let job = current else { return }
    current = nil
    if let id = job.id { channel.complete(id, result) }
  }

  private mutating func failAll(_ error: ServiceError) {
    finish(.failure(error))
    let jobs = waiting
    waiting = []
    for job in jobs {
      if let id = job.id { channel.complete(id, .failure(error)) }
    }
  }

  /// Pool 2 is made up by the guest's daemon when it is enumerated.
  private static func checkWritable(_ pool: KeyValuePool) throws(ServiceError) {
    guard pool.rawValue < KeyValuePool.count, pool != .automatic else {
      throw .invalidRequest("pool \(pool.rawValue) cannot be written")
    }
  }

  private static func sendable(_ items: [KeyValueItem]) -> [KeyValueItem] {
    items.filter { item in
      do throws(ServiceError) {
        try KeyValueLimits.check(key: item.key)
        try KeyValueLimits.check(value: item.value)
        return true
      } catch {
        return false
      }
    }
  }
}

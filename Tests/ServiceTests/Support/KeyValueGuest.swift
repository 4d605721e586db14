// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import VMBus

/// A guest with pools in memory, behind our client's machine.
struct KeyValueGuest {
  var client: KeyValuePairClient
  var pools: [UInt8: [(key: String, value: String)]] = [:]
  /// MAC address to settings; and instance GUID text to what was set.
  var adapters: [String: AdapterConfiguration] = [:]
  var configured: [String: [String]] = [:]
  /// Linux's get operation: no value comes back.
  var hasQuirkGetEmpty = true

  init(message: ServiceVersion = ServiceVersion(4, 0)) {
    client = KeyValuePairClient(
      link: ServiceLink(
        .keyValuePair, frameworks: IntegrationService.keyValuePair.frameworkVersions,
        messages: ServiceVersionList(message)))
  }

  /// Answers one packet of the host.
  mutating func answer(_ packet: Packet) -> Packet? {
    var packet = packet
    do throws(ClientFault) {
      var answer = ClientAnswer.send
      try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in answer = try client.receive(&bytes) }
      guard answer == .later, let request = client.request else { return packet }
      try work(request, &packet)
      return packet
    } catch {
      return nil
    }
  }

  private mutating func work(_ request: KeyValuePairClient.Request, _ packet: inout Packet) throws(ClientFault) {
    let key = text(packet, request.keyOffset, request.keySize)
    var pool = pools[request.pool.rawValue] ?? []
    switch request.operation {
    case .enumerate:
      guard Int(request.index) < pool.count else { return try finish(.noMoreItems, &packet) }
      try finish(pool[Int(request.index)], &packet)
    case .get:
      guard let found = pool.first(where: { $0.key == key }) else { return try finish(.noMoreItems, &packet) }
      try finish((found.key, hasQuirkGetEmpty ? "" : found.value), &packet)
    case .set:
      let value =
        switch request.type {
        case .unsigned32: String(packet.read(UInt32.self, at: request.valueOffset))
        case .unsigned64: String(packet.read(UInt64.self, at: request.valueOffset))
        default: text(packet, request.valueOffset, request.valueSize)
        }
      if let index = pool.firstIndex(where: { $0.key == key }) {
        pool[index].value = value
      } else {
        pool.append((key, value))
      }
      pools[request.pool.rawValue] = pool
      try finish(.ok, &packet)
    case .delete:
      guard let index = pool.firstIndex(where: { $0.key == key }) else { return try finish(.noMoreItems, &packet) }
      pool.remove(at: index)
      pools[request.pool.rawValue] = pool
      try finish(.ok, &packet)
    case .getAddresses:
      guard let adapter = adapters[field(packet, AdapterAddressRecord.adapter)] else {
        return try finish(.failure, &packet)
      }
      try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in
        try client.write(
          AdapterAddressRecord(families: adapter.families.rawValue, dhcp: adapter.dhcp ? 1 : 0), in: &bytes)
        // The daemon ends each gateway with a semicolon.
        for (place, list) in [
          (AdapterAddressRecord.addresses, adapter.addresses.joined(separator: ";")),
          (AdapterAddressRecord.masks, adapter.masks.joined(separator: ";")),
          (AdapterAddressRecord.gateways, adapter.gateways.map { $0 + ";" }.joined()),
          (AdapterAddressRecord.nameServers, adapter.nameServers.map { $0 + ";" }.joined()),
        ] {
          try client.write(Array(list.utf8).wire, to: place, in: &bytes)
        }
      }
      try finish(.ok, &packet)
    case .setAddresses:
      let adapter = field(packet, AdapterAddressRecord.adapter)
      guard adapters[adapter] != nil else { return try finish(.adapterNotFound, &packet) }
      configured[adapter] = [
        field(packet, AdapterAddressRecord.addresses), field(packet, AdapterAddressRecord.masks),
        field(packet, AdapterAddressRecord.gateways), field(packet, AdapterAddressRecord.nameServers),
      ]
      try finish(.ok, &packet)
    default:
      try finish(.failure, &packet)
    }
  }

  private mutating func finish(_ status: IntegrationStatus, _ packet: inout Packet) throws(ClientFault) {
    try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in try client.answer(status, in: &bytes) }
  }

  private mutating func finish(_ item: (key: String, value: String), _ packet: inout Packet) throws(ClientFault) {
    try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in
      try client.answer(key: Array(item.key.utf8).wire, value: Array(item.value.utf8).wire, in: &bytes)
    }
  }

  private func field(_ packet: Packet, _ field: AdapterAddressRecord.Field) -> String {
    text(packet, KeyValuePairClient.addressesOffset + field.offset, 2 * field.units)
  }

  private func text(_ packet: Packet, _ offset: Int, _ byteCount: Int) -> String {
    var output = Packet(bytes: [UInt8](repeating: 0, count: 4096))
    var count = 0
    do throws(WireError) {
      try output.change { (bytes: inout MutableRawSpan) throws(WireError) in
        count = try WireText.utf8(from: packet.bytes.wire, at: offset, byteCount: byteCount, into: &bytes)
      }
    } catch {
      return "?"
    }
    return String(decoding: output.bytes.prefix(count), as: UTF8.self)
  }
}

extension IntegrationServiceProvider {
  /// Lets a guest answer until nothing more is sent; returns everything that happened.
  mutating func exchange(_ clock: TestClock, _ guest: (Packet) -> Packet?) -> Effects {
    var all = Effects()
    for _ in 0..<100_000 {
      let effects = effects()
      all.all += effects.all
      guard !effects.sent.isEmpty else { return all }
      for packet in effects.sent {
        if let answer = guest(packet) { receive(answer, clock) }
      }
    }
    return all
  }
}

// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import DeviceProtocols
import Glibc
import ServiceProviders
import VMBus

extension VirtualMachine {
  public func keyValueItems(in pool: ControlAPI.KeyValuePool) async throws(ControlError) -> [ControlAPI.KeyValueItem] {
    let result = try await ask(KeyValueProvider.self, .kvp) { $0.enumerate(pool.wire, id: $1, $2) }
    guard case .items(let items) = result else { return [] }
    return items.map { ControlAPI.KeyValueItem($0, pool) }
  }

  public func keyValueItem(
    _ key: String, in pool: ControlAPI.KeyValuePool
  ) async throws(ControlError) -> ControlAPI.KeyValueItem {
    // The guest's automatic items can only be enumerated.
    if pool == .auto {
      guard let item = try await keyValueItems(in: pool).first(where: { $0.key == key }) else {
        throw ControlError(.noSuchKey, name: .kvp, subject: key)
      }
      return item
    }
    let result = try await ask(KeyValueProvider.self, .kvp, about: key) { $0.get(key, in: pool.wire, id: $1, $2) }
    guard case .item(let item) = result else { throw ControlError(.noSuchKey, name: .kvp, subject: key) }
    return ControlAPI.KeyValueItem(item, pool)
  }

  public func setKeyValueItem(_ item: ControlAPI.KeyValueItem) async throws(ControlError) {
    try Self.requireWritable(item.pool)
    let wire = try ServiceProviders.KeyValueItem(item)
    _ = try await ask(KeyValueProvider.self, .kvp, about: item.key) { $0.set(wire, in: item.pool.wire, id: $1, $2) }
  }

  public func deleteKeyValueItem(_ key: String, in pool: ControlAPI.KeyValuePool) async throws(ControlError) {
    try Self.requireWritable(pool)
    _ = try await ask(KeyValueProvider.self, .kvp, about: key) { $0.delete(key, in: pool.wire, id: $1, $2) }
  }

  private static func requireWritable(_ pool: ControlAPI.KeyValuePool) throws(ControlError) {
    guard pool != .auto else {
      throw ControlError(
        .refused, "the pool auto holds what the guest's daemon makes up: it cannot be written",
        remedy: "use the pool external")
    }
  }

  /// Puts the configuration's items into the guest's pool `external`.
  func fillExternalPool() async {
    for (key, value) in configuration.keyValues.sorted(by: { $0.key < $1.key }) {
      let item = ControlAPI.KeyValueItem(pool: .external, key: key, value: value)
      do throws(ControlError) {
        try await setKeyValueItem(item)
      } catch {
        events.record(
          .service, "the configuration's item \(key) was not taken: \(error.message)",
          details: ["service": ServiceName.kvp.rawValue, "key": key])
      }
    }
  }

  static func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  public func addresses(of adapter: String) async throws(ControlError) -> ControlAPI.AdapterAddresses {
    let result = try await ask(KeyValueProvider.self, .kvp, about: adapter) {
      $0.adapterConfiguration(macAddress: adapter, id: $1, $2)
    }
    guard case .adapterConfiguration(let found) = result else {
      throw ControlError(.adapterNotFound, name: .kvp, subject: adapter)
    }
    return ControlAPI.AdapterAddresses(
      adapter: adapter, dhcp: found.dhcp, ipv4: found.families.contains(.ipv4), ipv6: found.families.contains(.ipv6),
      addresses: found.addresses, subnets: found.masks, gateways: found.gateways, dnsServers: found.nameServers)
  }

  public func setAddresses(_ addresses: ControlAPI.AdapterAddresses) async throws(ControlError) {
    guard let adapter = GUID(text: addresses.adapter) else {
      throw ControlError(
        .badRequest, "\(addresses.adapter) is not an adapter's instance GUID",
        remedy: "Linux sets addresses by GUID and reads them by MAC address: give the GUID")
    }
    var families: AdapterConfiguration.Families = []
    if addresses.ipv4 { families.insert(.ipv4) }
    if addresses.ipv6 { families.insert(.ipv6) }
    let wanted = AdapterConfiguration(
      families: families, dhcp: addresses.dhcp, addresses: addresses.addresses, masks: addresses.subnets,
      gateways: addresses.gateways, nameServers: addresses.dnsServers)
    _ = try await ask(KeyValueProvider.self, .kvp, about: addresses.adapter) {
      $0.setAdapterConfiguration(wanted, adapter: adapter, id: $1, $2)
    }
  }
}

extension ControlAPI.KeyValuePool {
  var wire: DeviceProtocols.KeyValuePool { DeviceProtocols.KeyValuePool(rawValue: number) }
}

extension ControlAPI.KeyValueItem {
  init(_ item: ServiceProviders.KeyValueItem, _ pool: ControlAPI.KeyValuePool) {
    let kind: Kind =
      switch item.value {
      case .string: .string
      case .unsigned32: .u32
      case .unsigned64: .u64
      }
    self.init(pool: pool, key: item.key, value: item.value.text, kind: kind)
  }
}

extension ServiceProviders.KeyValueItem {
  init(_ item: ControlAPI.KeyValueItem) throws(ControlError) {
    switch item.kind {
    case .string: self.init(key: item.key, value: .string(item.value))
    case .u32:
      guard let number = UInt32(item.value) else {
        throw ControlError(.badRequest, "\(item.value) is no 32-bit number", remedy: "give 0 to \(UInt32.max)")
      }
      self.init(key: item.key, value: .unsigned32(number))
    case .u64:
      guard let number = UInt64(item.value) else {
        throw ControlError(.badRequest, "\(item.value) is no 64-bit number", remedy: "give 0 to \(UInt64.max)")
      }
      self.init(key: item.key, value: .unsigned64(number))
    }
  }
}

extension GUID {
  /// From the text form, braces allowed; nil for anything else.
  init?(text: String) {
    var digits = text[...]
    if digits.hasPrefix("{"), digits.hasSuffix("}") { digits = digits.dropFirst().dropLast() }
    let groups = digits.split(separator: "-", omittingEmptySubsequences: false)
    guard groups.map(\.count) == [8, 4, 4, 4, 12], groups.allSatisfy({ $0.allSatisfy(\.isHexDigit) }),
      let a = UInt32(groups[0], radix: 16), let b = UInt16(groups[1], radix: 16),
      let c = UInt16(groups[2], radix: 16), let d = UInt16(groups[3], radix: 16),
      let e = UInt64(groups[4], radix: 16)
    else { return nil }
    self.init(a, b, c, d, e)
  }
}

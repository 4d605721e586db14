// SPDX-License-Identifier: Apache-2.0

import CLinux
import VirtualSwitch

/// From the user's texts, and what is refused.
extension NetworkAdapterConfiguration {
  private enum Key: String, CaseIterable {
    case connection, name, mac, vlan, trunk, native, mtu, spoofing, isolated
    case routerGuard = "router-guard"
    case dhcpGuard = "dhcp-guard"
    case channels, monitored, forward
  }

  /// All of a machine. Names and addresses that are not given come from the machine's name and the adapter's place, so
  /// that they are the same each time.
  static func finish(
    _ drafts: [DeviceDraft], legacy: [DeviceDraft] = [], machine: String
  ) throws(ConfigurationError) -> [NetworkAdapterConfiguration] {
    for (list, maximum, what) in [
      (drafts, maximumCount, "network adapters"), (legacy, maximumLegacyCount, "legacy network adapters"),
    ] where list.count > maximum {
      throw ConfigurationError(
        source: list[maximum].source, "\(list.count) \(what) are too many", remedy: "a machine has up to \(maximum)")
    }
    var adapters: [NetworkAdapterConfiguration] = []
    let all = drafts.enumerated().map { ($0, $1, false) } + legacy.enumerated().map { ($0, $1, true) }
    for (index, draft, isLegacy) in all {
      let adapter = try NetworkAdapterConfiguration(draft, machine: machine, index: index, isLegacy: isLegacy)
      if let other = adapters.first(where: { $0.name == adapter.name }) {
        throw ConfigurationError(
          source: draft.source, "two network adapters are called \(other.name)", remedy: "give each a name of its own")
      }
      if adapters.contains(where: { $0.address == adapter.address }) {
        throw ConfigurationError(
          source: draft.source, "two network adapters have the address \(adapter.address)",
          remedy: "give each an address of its own, or none")
      }
      adapters.append(adapter)
    }
    return adapters
  }

  init(_ draft: DeviceDraft, machine: String, index: Int, isLegacy: Bool = false) throws(ConfigurationError) {
    // An emulated one has frames of one size, one queue, and nothing to do with the bus.
    let keys = Key.allCases.filter { !isLegacy || ![.mtu, .channels, .monitored].contains($0) }
    try draft.checkKeys(keys.map(\.rawValue), what: isLegacy ? "a legacy network adapter" : "a network adapter")
    func value(_ key: Key) -> DeviceDraft.Setting? { draft.settings[key.rawValue] }
    guard let plug = value(.connection) else {
      throw ConfigurationError(
        source: draft.source, "a network adapter without a connection", remedy: "use \(NetworkConnection.forms)")
    }
    guard let connection = NetworkConnection(plug.text) else {
      throw ConfigurationError(
        source: plug.source, "\"\(plug.text)\" is nothing to connect an adapter to",
        remedy: "use \(NetworkConnection.forms)")
    }
    let name = value(.name) ?? DeviceDraft.Setting("\(isLegacy ? "legacy" : "nic")\(index)", draft.source)
    guard (1...63).contains(name.text.utf8.count), name.text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x2f })
    else {
      throw ConfigurationError(
        source: name.source, "\"\(name.text)\" cannot be an adapter's name",
        remedy: "use up to 63 letters, digits and punctuation, without spaces and slashes")
    }
    var address = Self.derivedAddress(machine: machine, adapter: name.text)
    if let text = value(.mac) {
      guard let given = MACAddress(text.text) else {
        throw ConfigurationError(
          source: text.source, "\"\(text.text)\" is not a MAC address", remedy: "use the form 00:15:5d:01:02:03")
      }
      guard given.isUsable else {
        throw ConfigurationError(
          source: text.source, "\(given) cannot be an adapter's address: it is zero or a group's",
          remedy: "use an individual address, such as 00:15:5d:01:02:03")
      }
      address = given
    }
    self.init(
      name: name.text, connection: connection, address: address, vlan: try Self.vlan(draft),
      maximumPayload: try draft.number(Key.mtu.rawValue, in: Self.payloads) ?? 1500,
      allowsSpoofing: try draft.isOn(Key.spoofing.rawValue) ?? false,
      isIsolated: try draft.isOn(Key.isolated.rawValue) ?? false,
      guardsRouters: try draft.isOn(Key.routerGuard.rawValue) ?? false,
      guardsDHCP: try draft.isOn(Key.dhcpGuard.rawValue) ?? false,
      channels: try draft.number(Key.channels.rawValue, in: Self.channelCounts),
      isMonitored: try draft.isOn(Key.monitored.rawValue) ?? false, isLegacy: isLegacy)
    if let forward = value(.forward) {
      guard connection == .user else {
        throw ConfigurationError(
          source: forward.source, "ports are forwarded to adapters with user networking only",
          remedy: "connect it to user, or leave \"forward\" out")
      }
      for text in forward.text.split(separator: "+", omittingEmptySubsequences: false) {
        guard let rule = PortForwarding(String(text)) else {
          throw ConfigurationError(
            source: forward.source, "\"\(text)\" is no port to forward",
            remedy: "use [tcp:|udp:][HOST-ADDRESS:]HOST-PORT:GUEST-PORT, several with + between")
        }
        forwards.append(rule)
      }
    }
  }

  /// `vlan=5` is an access port, as `vlan=access 5` is; `trunk=1-10+20` a trunk, with `native=1` for frames without a tag.
  private static func vlan(_ draft: DeviceDraft) throws(ConfigurationError) -> VLANMode {
    let ids = 1...4094
    let native = try draft.number(Key.native.rawValue, in: ids)
    guard let trunk = draft.settings[Key.trunk.rawValue] else {
      guard native == nil else {
        throw ConfigurationError(
          source: draft.settings[Key.native.rawValue]?.source ?? draft.source, "a native VLAN without a trunk",
          remedy: "give the trunk's VLANs, or use vlan")
      }
      guard let vlan = draft.settings[Key.vlan.rawValue] else { return .untagged }
      if vlan.text.utf8.contains(UInt8(ascii: " ")) || vlan.text == "untagged" {
        return try VLANMode(words: vlan.text, from: vlan.source)
      }
      let id = try draft.number(Key.vlan.rawValue, in: ids) ?? 0
      return .access(VLANID(rawValue: UInt16(id)))
    }
    guard draft.settings[Key.vlan.rawValue] == nil else {
      throw ConfigurationError(
        source: trunk.source, "an adapter has either \"vlan\" or \"trunk\"", remedy: "remove one of them")
    }
    return .trunk(
      allowed: try VLANMode.list(trunk.text, trunk.source),
      native: native.map { VLANID(rawValue: UInt16($0)) } ?? .none)
  }

  /// Microsoft's prefix, as Hyper-V gives its own adapters, and three bytes that are the same for the same names.
  static func derivedAddress(machine: String, adapter: String) -> MACAddress {
    var text = "\(machine)/\(adapter)"
    let bits = text.withUTF8 { unsafe clinux_crc32c(0x6c69_7335, $0.baseAddress, $0.count) }
    return MACAddress(rawValue: 0x0015_5d00_0000 | UInt64(bits & 0xff_ffff))
  }
}

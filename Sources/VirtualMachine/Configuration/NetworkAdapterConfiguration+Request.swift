// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import VirtualSwitch

/// From requests of the control API, by the parser that reads flags and files.
extension NetworkAdapterConfiguration {
  /// What is wrong with a request's texts, before it is sent anywhere. `source`: what to call the field of that name.
  public static func check(
    _ request: NICRequest, source: (String) -> String
  ) throws(ConfigurationError) {
    _ = try NetworkAdapterConfiguration(draft(request, source), machine: "", index: 0)
  }

  public static func check(
    _ request: NICConnectionRequest, source: (String) -> String
  ) throws(ConfigurationError) {
    try check(NICRequest(connection: request.connection, forwards: request.forwards), source: source)
  }

  /// The words of a VLAN mode.
  public static func check(vlan words: String, source: String) throws(ConfigurationError) {
    _ = try VLANMode(words: words, from: source)
  }

  /// `names`: of the adapters that are there.
  init(_ request: NICRequest, machine: String, among names: [String]) throws(ControlError) {
    // The lowest name that is free, as adapters without one get it at the start.
    let index = (0...).first { !names.contains("nic\($0)") } ?? 0
    do throws(ConfigurationError) {
      try self.init(Self.draft(request, Self.field), machine: machine, index: index)
    } catch {
      throw Self.refusal(error)
    }
  }

  static func connection(
    _ request: NICConnectionRequest
  ) throws(ControlError) -> (NetworkConnection, [PortForwarding]) {
    let adapter = try NetworkAdapterConfiguration(
      NICRequest(connection: request.connection, forwards: request.forwards), machine: "", among: [])
    return (adapter.connection, adapter.forwards)
  }

  static func vlan(_ words: String) throws(ControlError) -> VLANMode {
    do throws(ConfigurationError) {
      return try VLANMode(words: words, from: field("vlan"))
    } catch {
      throw refusal(error)
    }
  }

  private static func field(_ name: String) -> String { "field \"\(name)\"" }

  private static func refusal(_ error: ConfigurationError) -> ControlError {
    var refusal = error.controlError
    refusal.code = .badRequest
    return refusal
  }

  private static func draft(
    _ request: NICRequest, _ source: (String) -> String
  ) throws(ConfigurationError) -> DeviceDraft {
    var draft = DeviceDraft(source: source("connection"))
    func set(_ key: String, _ text: String?, _ field: String) throws(ConfigurationError) {
      if let text { try draft.set(key, text, from: source(field)) }
    }
    func word(_ flag: Bool?) -> String? { flag.map { $0 ? "yes" : "no" } }
    try set("connection", request.connection, "connection")
    try set("name", request.name, "name")
    try set("mac", request.mac, "mac")
    // A number alone is what flags and files have.
    if let vlan = request.vlan {
      _ = try VLANMode(words: vlan, from: source("vlan"))
      try set("vlan", vlan, "vlan")
    }
    try set("mtu", request.mtu.map(String.init), "mtu")
    try set("spoofing", word(request.spoofing), "spoofing")
    try set("isolated", word(request.isolated), "isolated")
    try set("router-guard", word(request.routerGuard), "routerGuard")
    try set("dhcp-guard", word(request.dhcpGuard), "dhcpGuard")
    try set("channels", request.channels.map(String.init), "channels")
    try set("monitored", word(request.monitored), "monitored")
    if let forwards = request.forwards, !forwards.isEmpty {
      try set("forward", forwards.joined(separator: "+"), "forwards")
    }
    return draft
  }
}

// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import Glibc
import Partition
import Testing
import VirtualSwitch

@testable import VirtualMachine

/// From requests of the control API to adapters, and what becomes of them; without a guest and without a way out.
@Suite struct NetworkControlTests {
  private func adapter(_ request: NICRequest, among names: [String] = []) throws(ControlError)
    -> NetworkAdapterConfiguration
  {
    try NetworkAdapterConfiguration(request, machine: "web", among: names)
  }

  @Test func requestsBecomeAdapters() throws {
    let full = try adapter(
      NICRequest(
        connection: "user", name: "lan", mac: "02-00-00-00-00-07", vlan: "trunk 1-10,20 native 1", mtu: 9216,
        spoofing: true, isolated: true, routerGuard: true, dhcpGuard: true, channels: 4, monitored: true,
        forwards: ["2222:22", "udp:127.0.0.1:53:53"]))
    let trunk = try #require(VLANSet("1-10,20"))
    #expect(full.name == "lan" && full.address.description == "02:00:00:00:00:07" && full.connection == .user)
    #expect(full.vlan == .trunk(allowed: trunk, native: VLANID(rawValue: 1)))
    #expect(full.maximumPayload == 9216 && full.channels == 4 && full.isMonitored)
    #expect(full.allowsSpoofing && full.isIsolated && full.guardsRouters && full.guardsDHCP)
    #expect(full.forwards.map(\.description) == ["tcp:2222:22", "udp:127.0.0.1:53:53"])
    let plain = try adapter(NICRequest(connection: "none"), among: ["nic0", "nic2", "lan"])
    #expect(
      plain.name == "nic1" && plain.vlan == .untagged && plain.maximumPayload == 1500 && plain.channels == nil
        && !plain.isMonitored)
    #expect(plain.address == NetworkAdapterConfiguration.derivedAddress(machine: "web", adapter: "nic1"))
    #expect(try adapter(NICRequest(connection: "none", forwards: [])).forwards.isEmpty)
  }

  @Test(arguments: [
    (NICRequest(connection: ""), "field \"connection\": \"\" is nothing to connect an adapter to"),
    (NICRequest(connection: "tap:a b"), "field \"connection\":"),
    (NICRequest(connection: "user", name: ""), "field \"name\": \"\" cannot be an adapter's name"),
    (NICRequest(connection: "user", name: "é"), "field \"name\":"),
    (NICRequest(connection: "user", mac: "ff:ff:ff:ff:ff:ff"), "field \"mac\": ff:ff:ff:ff:ff:ff cannot be"),
    (NICRequest(connection: "user", mac: "00:00:00:00:00:00"), "field \"mac\":"),
    (NICRequest(connection: "user", vlan: ""), "field \"vlan\": \"\" is no VLAN mode"),
    (NICRequest(connection: "user", vlan: "access 4095"), "field \"vlan\": \"4095\" is no VLAN's number"),
    (NICRequest(connection: "user", vlan: "trunk 0-5"), "field \"vlan\": \"0-5\" is no list of VLANs"),
    (NICRequest(connection: "user", vlan: "access 5,mtu=9000"), "field \"vlan\":"),
    (NICRequest(connection: "user", mtu: 68), "field \"mtu\": mtu cannot be \"68\""),
    (NICRequest(connection: "user", mtu: .max), "field \"mtu\":"),
    (NICRequest(connection: "user", channels: 0), "field \"channels\":"),
    (NICRequest(connection: "none", forwards: ["1:2"]), "field \"forwards\": ports are forwarded"),
    (NICRequest(connection: "user", forwards: [""]), "field \"forwards\": \"\" is no port to forward"),
    (NICRequest(connection: "user", forwards: ["1:2", "x"]), "field \"forwards\": \"x\" is no port to forward"),
  ])
  func requestsThatAreRefused(request: NICRequest, message: String) {
    do {
      _ = try adapter(request)
      Issue.record("accepted")
    } catch {
      #expect(error.code == .badRequest && error.message.hasPrefix(message) && error.remedy != nil, "\(error)")
    }
  }

  @Test func vlanModesAreReadAsTheyAreWritten() throws {
    for words in ["untagged", "access 1", "access 4094", "trunk 1-10,20", "trunk all native 1", "trunk 7 native 4094"] {
      #expect(try VLANMode(words: words, from: "x").words == words)
    }
    #expect(try VLANMode(words: "trunk 1-4094", from: "x").words == "trunk all")
    #expect(try VLANMode(words: " trunk  5+3 ", from: "x").words == "trunk 3,5")
    for words in [
      "", "Untagged", "untagged 1", "access", "access 1 2", "access +", "trunk", "trunk 1 native", "trunk 1 2 3",
    ] {
      #expect(throws: ConfigurationError.self, "\(words)") { try VLANMode(words: words, from: "x") }
    }
  }

  @Test func versionsHaveTheirNumbers() {
    let versions: [NVSPVersion] = [.v1, .v2, .v4, .v5, .v6, .v6_1]
    #expect(versions.map(\.text) == ["1", "2", "4", "5", "6", "6.1"])
  }

  // MARK: Adapters without a guest

  private let events = EventLog()
  private let group: NetworkGroup

  init() { group = NetworkGroup(machine: "web", processors: 2, place: .here, port: PartitionPort(), events: events) }

  private func expect(_ code: ControlError.Code, _ text: String, _ body: () throws(ControlError) -> Void) {
    do throws(ControlError) {
      try body()
      Issue.record("accepted")
    } catch {
      #expect(error.code == code && error.message.contains(text) && error.remedy != nil, "\(error)")
    }
  }

  private func add(_ request: NICRequest) throws(ControlError) {
    try group.add(try adapter(request, among: group.list().map(\.configuration.name)))
  }

  @Test func upToEightWithNamesAndAddressesOfTheirOwn() throws {
    for _ in 0..<8 { try add(NICRequest(connection: "none")) }
    #expect(group.list().map(\.configuration.name) == (0..<8).map { "nic\($0)" })
    expect(.wrongState, "8 network adapters already") { () throws(ControlError) in
      try add(NICRequest(connection: "none"))
    }
    try group.remove("nic3")
    expect(.alreadyExists, "named nic4") { () throws(ControlError) in
      try add(NICRequest(connection: "none", name: "nic4"))
    }
    let mac = NetworkAdapterConfiguration.derivedAddress(machine: "web", adapter: "nic5").description
    expect(.alreadyExists, "the network adapter nic5 has the address") { () throws(ControlError) in
      try add(NICRequest(connection: "none", name: "x", mac: mac))
    }
    try add(NICRequest(connection: "none"))
    #expect(group.list().last?.configuration.name == "nic3")
    expect(.notFound, "no network adapter named \"nic8\"") { () throws(ControlError) in try group.remove("nic8") }
    group.stop()
    #expect(group.list().isEmpty)
    expect(.notFound, "nic0") { () throws(ControlError) in _ = try group.setVLAN(.untagged, of: "nic0") }
  }

  @Test func whatCannotBePluggedInChangesNothing() throws {
    expect(.notFound, "no network interface named lis-absent0") { () throws(ControlError) in
      try add(NICRequest(connection: "interface:lis-absent0"))
    }
    #expect(group.list().isEmpty)
    try add(NICRequest(connection: "none", vlan: "access 5"))
    expect(.notFound, "no network interface named lis-absent0") { () throws(ControlError) in
      _ = try group.connect("nic0", to: .interface("lis-absent0"), [])
    }
    let report = try #require(group.list().first)
    #expect(report.configuration.connection == .none && !report.isLinkUp && report.port == nil)
    #expect(try group.connect("nic0", to: .none, []).configuration.vlan == .access(VLANID(rawValue: 5)))
    let trunk = try VLANMode(words: "trunk 1-5 native 2", from: "")
    #expect(try group.setVLAN(trunk, of: "nic0").configuration.vlan == trunk)
    let guards = try group.setGuards(NICGuardsRequest(spoofing: true, routerGuard: true), of: "nic0").configuration
    #expect(guards.allowsSpoofing && guards.guardsRouters && !guards.guardsDHCP && !guards.isIsolated)
    #expect(try group.setGuards(NICGuardsRequest(spoofing: false), of: "nic0").configuration.guardsRouters)
    let model = AttachedAdapter(try #require(group.list().first))
    #expect(model.vlan == "trunk 1-5 native 2" && model.link == .down && model.version == nil && model.channels == 0)
    #expect(model.mac == model.guestMAC && model.connection == "none" && model.mtu == 1500)
  }

  @Test func whatIsConnectedToNothingHasNoLinkAndNoCapture() throws {
    try add(NICRequest(connection: "none"))
    expect(.wrongState, "is connected to nothing") { () throws(ControlError) in
      _ = try group.setLink(isUp: false, of: "nic0")
    }
    #expect(try !group.setLink(isUp: true, of: "nic0").isLinkUp)
    expect(.wrongState, "is connected to nothing") { () throws(ControlError) in
      _ = try group.startCapture(of: "nic0", to: "/tmp/x", snapLength: nil, overwrite: false)
    }
    expect(.wrongState, "is not being captured") { () throws(ControlError) in _ = try group.stopCapture(of: "nic0") }
    expect(.notFound, "nic1") { () throws(ControlError) in _ = try group.stopCapture(of: "nic1") }
  }

  /// With the loopback interface, where whoever runs the tests may open it.
  @Test func plugsLinksAndCaptures() throws {
    do throws(ControlError) {
      try add(NICRequest(connection: "interface:lo"))
    } catch {
      guard error.code == .hostUnsupported else { throw error }
      return
    }
    defer { group.stop() }
    try add(NICRequest(connection: "interface:lo", mtu: 9000))
    let folder = "/tmp/lis-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    let made = unsafe mkdir(folder, 0o700)
    #expect(made == 0)
    let (first, second) = ("\(folder)/a", "\(folder)/b")
    defer {
      _ = unsafe unlink(first)
      _ = unsafe unlink(second)
      _ = unsafe rmdir(folder)
    }
    #expect(group.list().allSatisfy { $0.isLinkUp && $0.port != nil })
    let capture = try group.startCapture(of: "nic0", to: first, snapLength: nil, overwrite: false)
    #expect(capture.path == first && group.list().first?.capture?.path == first)
    expect(.busy, "is being captured to \(first)") { () throws(ControlError) in
      _ = try group.startCapture(of: "nic1", to: first, snapLength: nil, overwrite: true)
    }
    expect(.wrongState, "already") { () throws(ControlError) in
      _ = try group.startCapture(of: "nic0", to: second, snapLength: nil, overwrite: false)
    }
    _ = try group.stopCapture(of: "nic0")
    expect(.alreadyExists, "\(first) exists") { () throws(ControlError) in
      _ = try group.startCapture(of: "nic0", to: first, snapLength: nil, overwrite: false)
    }
    expect(.input, "is not a regular file") { () throws(ControlError) in
      _ = try group.startCapture(of: "nic0", to: "/dev/null", snapLength: nil, overwrite: true)
    }
    expect(.input, "cannot capture") { () throws(ControlError) in
      _ = try group.startCapture(of: "nic0", to: "\(folder)/absent/x", snapLength: nil, overwrite: false)
    }
    _ = try group.startCapture(of: "nic0", to: first, snapLength: 64, overwrite: true)
    let guarded = try group.setGuards(NICGuardsRequest(spoofing: true, isolated: true, dhcpGuard: true), of: "nic0")
    let port = try #require(guarded.port?.settings)
    #expect(port.allowsSpoofing && port.isIsolated && port.guardsDHCP && !port.guardsRouters)
    // VLANs change under a capture; a link that goes down ends it.
    #expect(try group.setVLAN(.access(VLANID(rawValue: 7)), of: "nic0").capture?.path == first)
    let down = try group.setLink(isUp: false, of: "nic0")
    #expect(
      !down.isLinkUp && down.port == nil && down.capture == nil && down.configuration.connection == .interface("lo"))
    #expect(events.past().last?.details["change"] == "capture-stopped")
    expect(.wrongState, "is down") { () throws(ControlError) in
      _ = try group.startCapture(of: "nic0", to: second, snapLength: nil, overwrite: false)
    }
    let up = try group.setLink(isUp: true, of: "nic0")
    #expect(up.isLinkUp && up.port?.settings.vlan == .access(VLANID(rawValue: 7)))
    // A refusal leaves it where it is, with its capture.
    _ = try group.startCapture(of: "nic0", to: second, snapLength: nil, overwrite: false)
    expect(.notFound, "lis-absent0") { () throws(ControlError) in
      _ = try group.connect("nic0", to: .tap("lis-absent0"), [])
    }
    #expect(group.list().first?.capture?.path == second && group.list().first?.isLinkUp == true)
    let out = try group.connect("nic0", to: .none, [])
    #expect(!out.isLinkUp && out.port == nil && out.capture == nil)
    #expect(try group.connect("nic0", to: .interface("lo"), []).isLinkUp)
    try group.remove("nic1")
    #expect(group.list().count == 1)
  }
}

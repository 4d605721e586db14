// SPDX-License-Identifier: Apache-2.0

import Testing
import VirtualSwitch

@testable import VirtualMachine

@Suite struct NetworkConfigurationTests {
  private func parse(_ flags: [String], machine: String = "web") throws -> [NetworkAdapterConfiguration] {
    try NetworkAdapterConfiguration.finish(
      flags.map { text throws(ConfigurationError) in
        try DeviceDraft(flag: text, first: ConfigurationDraft.DeviceList.nics.firstKey, from: "--nic")
      }, machine: machine)
  }

  private func refusal(_ flags: String...) -> String? {
    do {
      _ = try parse(flags)
      return nil
    } catch let error as ConfigurationError {
      return error.description
    } catch {
      return "\(error)"
    }
  }

  @Test func everyKeyOfAFlag() throws {
    let text =
      "user,name=lan,mac=02:00:00:00:00:07,trunk=1-10+20,native=2,mtu=9000,spoofing,isolated=on,router-guard,"
      + "dhcp-guard=yes,channels=4,monitored,forward=tcp:2222:22+udp:127.0.0.1:53:53"
    let adapter = try #require(try parse([text]).first)
    #expect(adapter.name == "lan" && adapter.connection == .user)
    #expect(adapter.address.description == "02:00:00:00:00:07")
    let trunk = try #require(VLANSet("1-10,20"))
    #expect(adapter.vlan == .trunk(allowed: trunk, native: VLANID(rawValue: 2)))
    #expect(adapter.maximumPayload == 9000 && adapter.channels == 4 && adapter.isMonitored)
    #expect(adapter.allowsSpoofing && adapter.isIsolated && adapter.guardsRouters && adapter.guardsDHCP)
    #expect(adapter.forwards.map(\.description) == ["tcp:2222:22", "udp:127.0.0.1:53:53"])
  }

  @Test func defaultsAreTheSameEachTimeAndDifferForEachAdapter() throws {
    let adapters = try parse(["tap:tap0", "interface:eth0", "none,vlan=5"])
    #expect(adapters.map(\.name) == ["nic0", "nic1", "nic2"])
    #expect(adapters.map(\.connection) == [.tap("tap0"), .interface("eth0"), .none])
    #expect(Set(adapters.map(\.address)).count == 3)
    #expect(adapters.allSatisfy { $0.address.description.hasPrefix("00:15:5d:") && $0.maximumPayload == 1500 })
    #expect(adapters[2].vlan == .access(VLANID(rawValue: 5)))
    #expect(try parse(["tap:tap0"]).first?.address == adapters[0].address)
    #expect(try parse(["tap:tap0"], machine: "db").first?.address != adapters[0].address)
  }

  @Test func aYAMLListOfAdapters() throws {
    let draft = try ConfigurationFile.parse(
      "kernel: k\nnics:\n  - user\n  - connection: tap:tap1\n    vlan: 7\n", path: "web.yaml", folder: "/vms")
    let configuration = try draft.finish(defaultName: "web")
    #expect(configuration.adapters.map(\.connection) == [.user, .tap("tap1")])
    #expect(configuration.adapters.last?.vlan == .access(VLANID(rawValue: 7)))
  }

  @Test(arguments: [
    ("", "a network adapter without a connection"), ("bridge:br0", "\"bridge:br0\" is nothing to connect"),
    ("tap:", "is nothing to connect"), ("tap:a-name-that-is-too-long", "is nothing to connect"),
    ("user,mac=01:00:5e:00:00:01", "zero or a group's"), ("user,mac=00:00:00:00:00:00", "zero or a group's"),
    ("user,mac=12", "not a MAC address"), ("user,vlan=0", "vlan cannot be \"0\""),
    ("user,vlan=4095", "vlan cannot be"), ("user,trunk=1-", "no list of VLANs"),
    ("user,trunk=5,vlan=5", "either \"vlan\" or \"trunk\""), ("user,native=1", "a native VLAN without a trunk"),
    ("user,mtu=1279", "mtu cannot be"), ("user,mtu=9217", "mtu cannot be"),
    ("tap:t,forward=1:2", "user networking only"), ("user,forward=tcp:0:22", "no port to forward"),
    ("user,name=a b", "cannot be an adapter's name"), ("user,color=red", "has no \"color\""),
  ])
  func refusals(flag: String, message: String) throws {
    let text = try #require(refusal(flag))
    #expect(text.contains(message), "\(text)")
    #expect(text.contains("--nic"))
  }

  @Test func whatOnlyOneAdapterMayHave() {
    #expect(refusal("user,name=a", "user,name=a")?.contains("two network adapters are called a") == true)
    let mac = "mac=02:00:00:00:00:01"
    #expect(refusal("user,\(mac)", "none,\(mac)")?.contains("two network adapters have the address") == true)
    #expect(
      refusal("none", "none", "none", "none", "none", "none", "none", "none", "none")?.contains("too many") == true)
  }

  @Test func legacyAdapters() throws {
    func parse(_ flags: String...) throws -> [NetworkAdapterConfiguration] {
      try NetworkAdapterConfiguration.finish(
        [try DeviceDraft(flag: "none", first: "connection", from: "--nic")],
        legacy: flags.map { text throws(ConfigurationError) in
          try DeviceDraft(flag: text, first: "connection", from: "--legacy-nic")
        }, machine: "web")
    }
    let all = try parse("user,forward=tcp:2222:22", "tap:tap0,vlan=5,spoofing,name=lab")
    #expect(all.map(\.name) == ["nic0", "legacy0", "lab"] && all.map(\.isLegacy) == [false, true, true])
    #expect(all[2].vlan == .access(VLANID(rawValue: 5)) && all[2].maximumPayload == 1500)
    for (flags, text) in [
      (["user,mtu=9000"], "a legacy network adapter has no \"mtu\""),
      (["user,channels=2"], "a legacy network adapter has no \"channels\""),
      (["user,name=nic0"], "two network adapters are called nic0"),
      (["none", "none", "none", "none", "none"], "5 legacy network adapters are too many"),
    ] {
      do {
        _ = try flags.count == 1 ? parse(flags[0]) : parse(flags[0], flags[1], flags[2], flags[3], flags[4])
        Issue.record("accepted: \(flags)")
      } catch {
        #expect("\(error)".contains(text), "\(error)")
      }
    }
  }
}

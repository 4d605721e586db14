// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Testing
import VirtualSwitch

@testable import lis

@Suite struct SwitchCommandTests {
  private func uplink(_ words: String...) throws -> Uplink? {
    let command = try #require(try Lis.parseAsRoot(["switch", "create", "office"] + words) as? SwitchCreate)
    return try command.options.uplink(of: command.target.name)
  }

  private func refusal(_ words: String...) -> ControlError? {
    do {
      let command = try Lis.parseAsRoot(["switch", "create", "office"] + words) as? SwitchCreate
      _ = try command.map { try $0.options.uplink(of: $0.target.name) }
      return nil
    } catch {
      return error as? ControlError
    }
  }

  @Test func kindsAndWaysOut() throws {
    #expect(try uplink("--kind", "private") == nil)
    #expect(try uplink("--kind", "internal") == .tap("lis-office", queues: 1, creates: true))
    #expect(try uplink("--kind", "internal", "--tap", "t0") == .tap("t0", queues: 1, creates: true))
    #expect(try uplink("--kind", "external", "--tap", "t0", "--queues", "4") == .tap("t0", queues: 4))
    #expect(try uplink("--kind", "external", "--interface", "eth0") == .interface("eth0"))
    #expect(
      try uplink("--kind", "external", "--nat", "--forward", "8080:80", "--forward", "udp:127.0.0.1:53:5353")
        == .passt([
          PortForwarding(hostPort: 8080, guestPort: 80),
          PortForwarding(.udp, address: "127.0.0.1", hostPort: 53, guestPort: 5353),
        ]))
  }

  @Test func refusals() {
    for error in [
      refusal("--kind", "private", "--nat"), refusal("--kind", "internal", "--nat"), refusal("--kind", "external"),
      refusal("--kind", "internal", "--interface", "eth0"), refusal("--kind", "external", "--nat", "--tap", "t"),
      refusal("--kind", "private", "--mtu", "67"), refusal("--kind", "private", "--mtu", "65522"),
      refusal("--kind", "external", "--tap", "t", "--forward", "1:1"),
      refusal("--kind", "external", "--nat", "--forward", "1:x"),
      refusal("--kind", "external", "--tap", "t", "--queues", "17"),
    ] {
      #expect(error?.code == .configuration)
      #expect(error?.remedy != nil)
    }
  }

  /// What `create` hands to the new process is what it was given.
  @Test func argumentsGoOn() throws {
    let words = ["--kind", "external", "--nat", "--forward", "8080:80", "--mtu", "9000"]
    let created = try #require(try Lis.parseAsRoot(["switch", "create", "a"] + words) as? SwitchCreate)
    let served = try #require(
      try Lis.parseAsRoot(["switch", "serve", "a"] + created.options.arguments) as? SwitchServe)
    #expect(try served.options.uplink(of: served.target.name) == created.options.uplink(of: created.target.name))
    #expect(served.options.mtu == 9000)
  }

  @Test func verbsForPorts() throws {
    let vlan = try #require(
      try Lis.parseAsRoot(["switch", "vlan", "lab", "web/nic0", "trunk", "1-10,20", "native", "1"]) as? SwitchVLAN)
    #expect(try vlan.mode() == PortVLAN(mode: .trunk, allowed: "1-10,20", native: 1) && vlan.port.port == "web/nic0")
    let guards = try #require(
      try Lis.parseAsRoot(["switch", "guard", "lab", "uplink", "--spoofing", "no", "--dhcp-guard", "yes"])
        as? SwitchGuard)
    #expect(guards.guards.spoofing == .no && guards.guards.dhcpGuard == .yes && guards.guards.isolated == nil)
    let capture = try #require(
      try Lis.parseAsRoot(["switch", "capture", "lab", "f", "--port", "a", "--port", "b"]) as? SwitchCaptureCommand)
    #expect(capture.ports == ["a", "b"] && !capture.capture.stop)
    #expect(try Lis.parseAsRoot(["switch", "ports", "lab"]) is SwitchPorts)
    #expect(try Lis.parseAsRoot(["vm", "nic", "guard", "web", "nic0", "--isolated", "yes"]) is VMNICGuard)
    for words in [
      ["vlan", "lab", "p", "access"], ["vlan", "lab", "p", "access", "4095"], ["guard", "lab", "p"],
      ["guard", "lab", "p", "--spoofing", "maybe"], ["capture", "lab"],
      ["capture", "lab", "f", "--stop", "--port", "a"],
      ["capture", "lab", "f", "--snap-length", "63"], ["ports"],
    ] {
      #expect(throws: (any Error).self, "\(words)") { try Lis.parseAsRoot(["switch"] + words) }
    }
  }
}

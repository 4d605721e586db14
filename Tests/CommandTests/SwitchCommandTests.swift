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
}

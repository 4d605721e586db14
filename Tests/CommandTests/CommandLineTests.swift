// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Testing
import VirtualMachine

@testable import lis

/// What the command line means, without running it.
@Suite struct CommandLineTests {
  private func parse<Command>(_ type: Command.Type, _ words: String...) throws -> Command {
    try #require(try Lis.parseAsRoot(words) as? Command)
  }

  private func machine(_ words: String...) throws -> VirtualMachineConfiguration {
    try #require(try Lis.parseAsRoot(["run"] + words) as? Run).machine()
  }

  private func refusal(_ words: String...) -> String {
    do {
      let run = try Lis.parseAsRoot(["run"] + words) as? Run
      _ = try run?.machine()
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  @Test func runWithFlags() throws {
    let configuration = try machine(
      "--name", "web", "--kernel", "/boot/k", "--initramfs", "/boot/i", "--command-line", "console=ttyS0 a=b",
      "--processors", "4", "--memory", "2G", "--serial", "file:/tmp/log", "--vmbus-version", "5.2", "--accelerator",
      "software", "--on-crash", "stop", "--disable", "time", "--disable", "copy", "--kvp", "role=web=server", "--kvp",
      "empty=")
    #expect(
      configuration
        == VirtualMachineConfiguration(
          name: "web", processors: 4, memory: ByteCount(rawValue: 2 << 30), kernel: "/boot/k", initramfs: "/boot/i",
          commandLine: "console=ttyS0 a=b", serial: .file("/tmp/log"), busVersionLimit: BusVersion(major: 5, minor: 2),
          accelerator: .software, disabledServices: [.time, .copy], keyValues: ["role": "web=server", "empty": ""],
          onCrash: .stop))
  }

  @Test func pathsAreMadeAbsolute() throws {
    let configuration = try machine("--kernel", "k", "--serial", "file:log")
    #expect(configuration.kernel.hasPrefix("/") && configuration.kernel.hasSuffix("/k"))
    #expect(configuration.serial != .file("log"))
    #expect(configuration.name.hasPrefix("vm-"))
  }

  @Test(arguments: [
    (["--kernel", "k", "--processors", "0"], "--processors: \"0\" is not a number of processors; use 1 to 8"),
    (
      ["--kernel", "k", "--memory", "1"],
      "--memory: 1 of memory is too little; use 128M to 4T, and no more than the host has"
    ),
    (
      ["--kernel", "k", "--serial", "tcp"],
      "--serial: \"tcp\" is no place for the serial console; use interactive, off or file:PATH"
    ),
    (
      ["--kernel", "k", "--accelerator", "xen"],
      "--accelerator: \"xen\" is no choice for accelerator; use auto, kvm, software"
    ),
    (["--kernel", "k", "--kvp", "novalue"], "--kvp: \"novalue\" is not KEY=VALUE; use --kvp role=web"),
    (
      ["--kernel", "k", "--disable", "coffee"],
      "--disable: there is no service \"coffee\"; services are heartbeat, shutdown, time, kvp, copy, snapshot"
    ),
    ([], "no kernel is given; name one with --kernel or in the YAML file"),
    (
      ["/tmp/absent.yaml"],
      "the configuration /tmp/absent.yaml cannot be opened: No such file or directory; check the path and its permissions"
    ),
  ])
  func runRefusals(words: [String], message: String) {
    do {
      _ = try (Lis.parseAsRoot(["run"] + words) as? Run)?.machine()
      Issue.record("accepted")
    } catch {
      #expect("\(error)" == message)
    }
  }

  @Test func verbs() throws {
    #expect(try parse(VMStop.self, "vm", "stop", "web", "--force").force)
    #expect(try parse(VMStop.self, "vm", "stop", "web", "--timeout", "5").timeout == 5)
    #expect(try parse(VMRestart.self, "vm", "restart", "web", "--reset").reset)
    #expect(try parse(VMFreeze.self, "vm", "freeze", "web", "--deadline", "4").deadline == 4)
    #expect(try parse(VMFreeze.self, "vm", "freeze", "web", "--check").check)
    let copy = try parse(VMCopy.self, "vm", "copy", "web", "a.txt", "/tmp/", "--overwrite", "--create-folders")
    #expect(copy.file == "a.txt" && copy.target == "/tmp/" && copy.overwrite && copy.createFolders)
    #expect(try parse(ServiceDisable.self, "service", "disable", "web", "kvp").service == .kvp)
    let set = try parse(KVPSet.self, "kvp", "set", "web", "k", "--kind", "u32", "--", "-v")
    #expect(set.key == "k" && set.pool == .external && set.kind == .u32)
    #expect(try parse(KVPList.self, "kvp", "list", "web").pool == .auto)
    #expect(try parse(EventsCommand.self, "events", "web", "--format", "json", "--since", "7").since == 7)
    #expect(try parse(VMConsole.self, "vm", "console", "web", "--replay").replay)
    #expect(try parse(AdapterSet.self, "adapter", "set", "web", "{x}", "--dhcp").dhcp)
    _ = try parse(VMNMI.self, "vm", "nmi", "web")
    _ = try parse(VMThaw.self, "vm", "thaw", "web")
  }

  @Test(arguments: [
    ["vm", "stop"], ["vm", "stop", "a/b"], ["vm", "stop", "web", "--timeout", "0"], ["vm", "burn", "web"],
    ["vm", "copy", "web", "file", "relative"], ["service", "enable", "web", "coffee"], ["kvp", "get", "web"],
    ["kvp", "list", "web", "--pool", "attic"], ["vm", "show", "web", "--format", "xml"], ["run", "--colour", "red"],
    ["adapter", "set", "web", "{x}"], ["adapter", "set", "web", "{x}", "--address", "192.0.2.1"],
    ["events", "web", "--past", "--new"], ["events", "web", "--since", "-1"],
  ])
  func usageErrors(words: [String]) {
    do {
      _ = try Lis.parseAsRoot(words)
      Issue.record("accepted")
    } catch {
      #expect(Lis.exitCode(for: error).rawValue == ExitStatus.usage.rawValue)
    }
  }

  @Test func helpListsTheExitCodes() {
    let help = Lis.helpMessage(columns: 200)
    for status in ExitStatus.allCases { #expect(help.contains("\(status.rawValue)  \(status.meaning)")) }
    #expect(Run.helpMessage(columns: 120).contains("Ctrl-]"))
  }
}

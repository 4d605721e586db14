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

  private func parse<Command>(_ type: Command.Type, words: [String]) throws -> Command {
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
      "--processors", "4", "--memory", "2G", "--serial", "file:/tmp/log", "--unpack-kernel", "guest", "--vmbus-version",
      "5.2", "--accelerator",
      "software", "--on-crash", "stop", "--disable", "time", "--disable", "copy", "--kvp", "role=web=server", "--kvp",
      "empty=")
    #expect(
      configuration
        == VirtualMachineConfiguration(
          name: "web", processors: 4, memory: ByteCount(rawValue: 2 << 30), kernel: "/boot/k", initramfs: "/boot/i",
          commandLine: "console=ttyS0 a=b", unpackKernel: .guest, serial: .file("/tmp/log"),
          busVersionLimit: BusVersion(major: 5, minor: 2),
          accelerator: .software, disabledServices: [.time, .copy], keyValues: ["role": "web=server", "empty": ""],
          onCrash: .stop))
  }

  @Test func runWithDisks() throws {
    let disks = try machine(
      "--kernel", "k", "--disk", "/a.vhdx", "--disk", "/b,,c.raw,lun=7,sector=4096,cache=off", "--dvd", "empty",
      "--dvd",
      "d.iso,controller=2"
    ).disks
    #expect(disks.map(\.unit) == [0, 7, 1, 0])
    #expect(disks.map(\.path?.first) == ["/", "/", nil, "/"])
    #expect(disks[1].path == "/b,c.raw" && disks[1].sectorByteCount == 4096 && !disks[1].hasWriteCache)
  }

  @Test func aCancelledCopyIsOverWhenTheMachineSaysSo() {
    func event(_ path: String, _ state: String) -> Event {
      Event(
        sequence: 1, time: Timestamp(nanoseconds: 0), kind: .copy, message: state,
        details: ["path": path, "state": state])
    }
    #expect(VMCopy.end(of: "/a", in: []).isOver)
    #expect(VMCopy.end(of: "/a", in: [event("/b", "started")]).isOver)
    let old = [event("/a", "started"), event("/a", "failed")]
    #expect(VMCopy.end(of: "/a", in: old).last?.message == "failed")
    #expect(!VMCopy.end(of: "/a", in: old + [event("/a", "started"), event("/b", "failed")]).isOver)
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
    (
      ["--kernel", "k", "--disk", "/a.vhdx,lun=1", "--disk", "/b.vhdx,lun=1"],
      "--disk: LUN 1 of controller 0 is taken by /a.vhdx (--disk); give each disk a LUN of its own, or none"
    ),
    (["--kernel", "k", "--dvd", "/a.iso,lum=1"], "--dvd: a DVD drive has no \"lum\"; did you mean \"lun\"?"),
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
    let add = try parse(
      VMDiskAdd.self, "vm", "disk", "add", "web", "d.vhdx", "--controller", "1", "--lun", "5", "--read-only")
    #expect(add.request.path?.hasPrefix("/") == true && add.request.path?.hasSuffix("/d.vhdx") == true)
    #expect(add.request.controller == 1 && add.request.lun == 5 && add.request.readOnly == true)
    #expect(add.request.kind == .disk && add.request.writeCache == true && add.request.format == nil)
    let raw = try parse(
      VMDiskAdd.self, "vm", "disk", "add", "web", "/d", "--disk-format", "raw", "--sector-size", "4K", "--write-through"
    )
    #expect(raw.request.format == .raw && raw.request.sectorBytes == 4096 && raw.request.writeCache == false)
    let place = DiskAddress(controller: 0, lun: 1)
    #expect(try parse(VMDiskRemove.self, "vm", "disk", "remove", "web", "0:1").disk.address == place)
    let grow = try parse(VMDiskResize.self, "vm", "disk", "resize", "web", "0:1", "+5G")
    #expect(try grow.size.applied(to: 1 << 30) == 6 << 30)
    let shrink = try parse(VMDiskResize.self, "vm", "disk", "resize", "web", "0:1", "--", "-1G")
    #expect(try shrink.size.applied(to: 3 << 30) == 2 << 30)
    #expect(throws: ControlError.self) { try shrink.size.applied(to: 1 << 30) }
    #expect(throws: ControlError.self) { try grow.size.applied(to: .max) }
    #expect(try parse(VMDVDAdd.self, "vm", "dvd", "add", "web").request.path == nil)
    #expect(try parse(VMDVDAdd.self, "vm", "dvd", "add", "web", "/d.iso").request.kind == .dvd)
    #expect(try parse(VMDVDInsert.self, "vm", "dvd", "insert", "web", "d.iso").drive.drive == nil)
    let eject = try parse(VMDVDEject.self, "vm", "dvd", "eject", "web", "--drive", "0:1", "--force")
    #expect(eject.drive.drive == place && eject.force)
    let ide = try parse(VMDiskResize.self, "vm", "disk", "resize", "web", "primary-slave", "2G")
    #expect(ide.disk.address == .ide(.primarySlave))
    _ = try parse(VMDiskList.self, "vm", "disk", "list", "web", "--format", "json")
    let lan = try parse(
      VMNICAdd.self, "vm", "nic", "add", "web", "user", "--name", "lan", "--mac", "02:00:00:00:00:07", "--vlan",
      "trunk 1-10,20 native 1", "--mtu", "9000", "--router-guard", "--channels", "2", "--monitored", "--forward",
      "tcp:2222:22",
      "--forward", "udp:53:53", "--format", "json")
    #expect(
      lan.request
        == NICRequest(
          connection: "user", name: "lan", mac: "02:00:00:00:00:07", vlan: "trunk 1-10,20 native 1", mtu: 9000,
          spoofing: false, isolated: false, routerGuard: true, dhcpGuard: false, channels: 2,
          monitored: true, forwards: ["tcp:2222:22", "udp:53:53"]))
    #expect(try parse(VMNICRemove.self, "vm", "nic", "remove", "web", "lan").nic.name == "lan")
    let plug = try parse(VMNICConnect.self, "vm", "nic", "connect", "web", "nic0", "tap:tap1")
    #expect(plug.nic.name == "nic0" && plug.plug.request == NICConnectionRequest(connection: "tap:tap1"))
    _ = try parse(VMNICDisconnect.self, "vm", "nic", "disconnect", "web", "nic0")
    #expect(try parse(VMNICLink.self, "vm", "nic", "link", "web", "nic0", "down").link == .down)
    for mode in ["untagged", "access 5", "trunk all", "trunk 1-10,20 native 1"] {
      let words = mode.split(separator: " ").map(String.init)
      #expect(try parse(VMNICVLAN.self, words: ["vm", "nic", "vlan", "web", "nic0"] + words).mode == mode)
      #expect(try parse(VMNICVLAN.self, "vm", "nic", "vlan", "web", "nic0", mode).mode == mode)
    }
    let capture = try parse(
      VMNICCapture.self, "vm", "nic", "capture", "web", "nic0", "a.pcapng", "--snap-length", "64", "--overwrite")
    #expect(capture.path == "a.pcapng" && capture.capture.snapLength == 64)
    #expect(capture.capture.overwrite && !capture.capture.stop)
    #expect(try parse(VMNICCapture.self, "vm", "nic", "capture", "web", "nic0", "--stop").capture.stop)
    _ = try parse(VMNICList.self, "vm", "nic", "list", "web", "--format", "json")
    _ = try parse(VMNMI.self, "vm", "nmi", "web")
    _ = try parse(VMThaw.self, "vm", "thaw", "web")
  }

  @Test(arguments: [
    ["vm", "stop"], ["vm", "stop", "a/b"], ["vm", "stop", "web", "--timeout", "0"], ["vm", "burn", "web"],
    ["vm", "copy", "web", "file", "relative"], ["service", "enable", "web", "coffee"], ["kvp", "get", "web"],
    ["kvp", "list", "web", "--pool", "attic"], ["vm", "show", "web", "--format", "xml"], ["run", "--colour", "red"],
    ["adapter", "set", "web", "{x}"], ["adapter", "set", "web", "{x}", "--address", "192.0.2.1"],
    ["vm", "disk", "add", "web"], ["vm", "disk", "add", "web", "d", "--lun", "64"],
    ["vm", "disk", "add", "web", "d", "--controller", "ide"], ["vm", "dvd", "add", "web", "--controller", "ide"],
    ["vm", "disk", "remove", "web", "ide:0"],
    ["vm", "disk", "add", "web", "d", "--controller", "4"], ["vm", "disk", "add", "web", "d", "--sector-size", "520"],
    ["vm", "disk", "add", "web", "d", "--disk-format", "qcow2"], ["vm", "disk", "remove", "web", "1"],
    ["vm", "disk", "resize", "web", "0:1", "large"], ["vm", "dvd", "insert", "web"],
    ["vm", "dvd", "eject", "web", "--drive", "0:64"], ["vm", "nic", "add", "web"], ["vm", "nic", "remove", "web"],
    ["vm", "nic", "add", "web", "user", "--mtu", "many"], ["vm", "nic", "link", "web", "nic0", "sideways"],
    ["vm", "nic", "vlan", "web", "nic0"], ["vm", "nic", "capture", "web", "nic0"],
    ["vm", "nic", "capture", "web", "nic0", "a", "--stop"],
    ["vm", "nic", "capture", "web", "nic0", "--stop", "--overwrite"],
    ["vm", "nic", "capture", "web", "nic0", "a", "--snap-length", "63"], ["vm", "nic", "connect", "web", "nic0"],
    ["events", "web", "--past", "--new"],
    ["events", "web", "--since", "-1"],
  ])
  func usageErrors(words: [String]) {
    do {
      _ = try Lis.parseAsRoot(words)
      Issue.record("accepted")
    } catch {
      #expect(Lis.exitCode(for: error).rawValue == ExitStatus.usage.rawValue)
    }
  }

  @Test(arguments: [
    (["add", "web", "tun:x"], "<connection>: \"tun:x\" is nothing to connect an adapter to; use user, tap:NAME"),
    (["add", "web", "tap:a-name-that-is-too-long"], "<connection>:"),
    (["add", "web", "user", "--mac", "01:00:5e:00:00:01"], "--mac: 01:00:5e:00:00:01 cannot be an adapter's address"),
    (["add", "web", "user", "--mac", "00:00:00:00:00:00"], "--mac: 00:00:00:00:00:00 cannot be"),
    (["add", "web", "user", "--mac", "12"], "--mac: \"12\" is not a MAC address; use the form 00:15:5d:01:02:03"),
    (["add", "web", "user", "--mtu", "1279"], "--mtu: mtu cannot be \"1279\"; use 1280 to 9216"),
    (["add", "web", "user", "--mtu", "9217"], "--mtu: mtu cannot be \"9217\"; use 1280 to 9216"),
    (["add", "web", "user", "--vlan", "5"], "--vlan: \"5\" is no VLAN mode; use untagged, access ID"),
    (
      ["add", "web", "user", "--vlan", "access 4095"],
      "--vlan: \"4095\" is no VLAN's number; use a number from 1 to 4094"
    ),
    (["add", "web", "user", "--name", "a/b"], "--name: \"a/b\" cannot be an adapter's name"),
    (
      ["add", "web", "tap:t", "--forward", "1:2"],
      "--forward: ports are forwarded to adapters with user networking only"
    ),
    (["add", "web", "user", "--forward", "tcp:0:22"], "--forward: \"tcp:0:22\" is no port to forward"),
    (["add", "web", "user", "--channels", "9"], "--channels: channels cannot be \"9\"; use 1 to 8"),
    (["connect", "web", "nic0", "bridge:br0"], "<connection>: \"bridge:br0\" is nothing to connect"),
    (["connect", "web", "nic0", "none", "--forward", "1:2"], "--forward:"),
    (["vlan", "web", "nic0", "access", "0"], "<mode>: \"0\" is no VLAN's number; use a number from 1 to 4094"),
    (["vlan", "web", "nic0", "trunk", "1-"], "<mode>: \"1-\" is no list of VLANs; use numbers from 1 to 4094"),
    (["vlan", "web", "nic0", "trunk", "10-1"], "<mode>: \"10-1\" is no list of VLANs"),
    (["vlan", "web", "nic0", "trunk", "5", "native"], "<mode>: \"trunk 5 native\" is no VLAN mode"),
    (["vlan", "web", "nic0", "trunk", "5", "native", "4095"], "<mode>: \"4095\" is no VLAN's number"),
    (["vlan", "web", "nic0", "5"], "<mode>: \"5\" is no VLAN mode"),
  ])
  func whatIsWrongWithANetworkAdapter(words: [String], message: String) {
    do {
      _ = try Lis.parseAsRoot(["vm", "nic"] + words)
      Issue.record("accepted")
    } catch {
      #expect(Lis.exitCode(for: error).rawValue == ExitStatus.usage.rawValue)
      #expect(Lis.message(for: error).contains(message), "\(Lis.message(for: error))")
    }
  }

  @Test func helpListsTheExitCodes() {
    let help = Lis.helpMessage(columns: 200)
    for status in ExitStatus.allCases { #expect(help.contains("\(status.rawValue)  \(status.meaning)")) }
    #expect(Run.helpMessage(columns: 120).contains("Ctrl-]"))
  }
}

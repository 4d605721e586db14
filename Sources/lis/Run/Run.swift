// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Glibc
import VirtualMachine

/// `lis run`: one machine, in the foreground.
struct Run: ControlCommand {
  static let configuration = CommandConfiguration(
    // Named here: to make the name from the type costs a start as much as opening KVM.
    commandName: "run",
    abstract: "Run a machine in the foreground.",
    discussion: """
      A machine is described by flags, by a YAML file with the same keys, or by both: flags win. Paths in the file are \
      relative to its folder.

        name: web                services:          # all are on unless switched off
        kernel: boot/vmlinuz       time: off
        initramfs: boot/initrd   kvp:               # items for the guest's pool "external"
        memory: 1G                 role: web server
        disks:                   dvds:
          - root.vhdx              - empty
          - path: data.raw         - path: cd/install.iso
            lun: 5                   controller: 1

      A disk in the file is its path, or the keys path, format (raw, vhd, vhdx; by default what the name says), \
      controller (0 to 3; 0), lun (0 to 63; the lowest free one, disks before DVD drives), read-only (yes, no), cache \
      (on, off: each write is durable at once) and sector (512 or 4096, of a raw disk). A DVD drive has path, format \
      (iso), controller and lun. The flags --disk and --dvd take the same keys behind the path, with commas between; \
      a comma in a path is written twice. Disks of flags and file add up.

      A network adapter (--nic, or the list nics in the file) has a connection (user, tap:NAME, interface:NAME, \
      switch:NAME or none) and the keys name, mac, vlan (a number, or the words that `lis vm nic vlan` takes), trunk (such as 1-10+20, or \
      all), native, mtu (1280 to 9216; 1500), spoofing, isolated, router-guard, dhcp-guard (yes, no), channels (1 to 8), \
      monitored (yes, no: the guest signals through the monitor page, as DPDK's driver does) and, for user, forward ([tcp:|udp:][ADDRESS:]HOST-PORT:GUEST-PORT, several with + between). `lis vm nic` changes \
      adapters while the machine runs. An emulated adapter (--legacy-nic, or the list legacy-nics) has the same keys but \
      mtu, channels and monitored.

      With an interactive serial console on a terminal, every key goes to the guest except Ctrl-], which does what \
      Ctrl-C does elsewhere. The first Ctrl-C asks the guest to shut down, the second switches the machine off.

      The exit code tells how the machine ended: 0 switched off by its guest, 10 panic, 11 triple fault, 12 forced \
      stop, 1 failure of the host; `lis --help` lists them all.
      """)

  @Argument(help: ArgumentHelp("A YAML file that describes the machine.", valueName: "file"))
  var file: String?

  @Option(help: "The machine's name (the file's name, or vm-PROCESS).")
  var name: String?

  @Option(help: "A bzImage or ELF vmlinux.")
  var kernel: String?

  @Option(help: "The initial RAM file system.")
  var initramfs: String?

  @Option(help: "The kernel's command line.")
  var commandLine: String?

  @Option(
    help: """
      Who unpacks the kernel: host, guest (its own code, as behind firmware), or auto: the host where it is virtual \
      itself (auto).
      """)
  var unpackKernel: String?

  @Option(help: "Virtual processors, 1 to 8 (1).")
  var processors: String?

  @Option(help: "Memory, such as 512M or 2G (512M).")
  var memory: String?

  @Option(help: "The serial console: interactive, off or file:PATH (interactive).")
  var serial: String?

  @Option(help: "The newest VMBus version the guest may have: 4.0, 4.1, 5.0, 5.1, 5.2 or 5.3 (5.3).")
  var vmbusVersion: String?

  @Option(help: "auto, kvm, or software: QEMU's processor with a small Linux and KVM in it (auto).")
  var accelerator: String?

  @Option(help: "On a guest's panic: keep (leave it to the guest), stop or restart (keep).")
  var onCrash: String?

  @Option(
    name: .customLong("disable"),
    help: ArgumentHelp("Start with this service switched off; may be repeated.", valueName: "service"))
  var disabled: [String] = []

  @Option(
    name: .customLong("kvp"),
    help: ArgumentHelp("An item for the guest's pool \"external\"; may be repeated.", valueName: "key=value"))
  var keyValues: [String] = []

  @Option(
    name: .customLong("disk"),
    help: ArgumentHelp(
      "A disk on a SCSI controller; may be repeated.",
      discussion: "PATH[,controller=0][,lun=N][,format=raw|vhd|vhdx][,read-only][,cache=off][,sector=4096]",
      valueName: "path,…"))
  var disks: [String] = []

  @Option(
    name: .customLong("dvd"),
    help: ArgumentHelp(
      "A DVD drive with this ISO image in it, or empty; may be repeated.",
      discussion: "PATH[,controller=0][,lun=N]", valueName: "path,…"))
  var dvds: [String] = []

  @Option(
    name: .customLong("ide"),
    help: ArgumentHelp(
      "A disk or DVD drive on an emulated IDE controller; up to four.",
      discussion: "PATH[,dvd][,position=primary-master][,format=raw|vhd|vhdx][,read-only][,cache=off]",
      valueName: "path,…"))
  var ideDrives: [String] = []

  @Option(
    name: .customLong("nic"),
    help: ArgumentHelp(
      "A network adapter: user, tap:NAME, interface:NAME, switch:NAME or none; up to eight.",
      discussion: "CONNECTION[,mac=…][,vlan=5|,trunk=1-10+20[,native=1]][,mtu=9000][,forward=tcp:2222:22][,name=…]…",
      valueName: "connection,…"))
  var adapters: [String] = []

  @Option(
    name: .customLong("legacy-nic"),
    help: ArgumentHelp(
      "An emulated network adapter (DEC 21140), for guests without Hyper-V's drivers; up to four.",
      discussion: "CONNECTION and the keys of --nic, but mtu and channels", valueName: "connection,…"))
  var legacyAdapters: [String] = []

  @Option(help: "How lis writes its own messages: table, for people, or json.")
  var format: OutputFormat = .table

  func perform() async throws(ControlError) {
    let configuration: VirtualMachineConfiguration
    do throws(ConfigurationError) {
      configuration = try self.machine()
      try configuration.checkInputs()
    } catch {
      throw error.controlError
    }
    StartupPages.releaseLater()
    let format = format
    let status = try await MachineRunner.run(configuration) { text in
      switch format {
      case .table: StandardError.line(text)
      case .json: StandardError.raw(JSONText.line(["message": text]))
      }
    }
    Glibc.exit(status.rawValue)
  }

  /// The configuration from file and flags.
  func machine() throws(ConfigurationError) -> VirtualMachineConfiguration {
    var draft = ConfigurationDraft()
    if let file { draft = try ConfigurationFile.read(file) }
    return try draft.merged(with: try flags()).finish(defaultName: defaultName)
  }

  private var defaultName: String {
    let stem = file.flatMap { $0.split(separator: "/").last?.split(separator: ".").first }.map(String.init)
    return stem.flatMap { MachineName($0)?.text } ?? "vm-\(getpid())"
  }

  private func flags() throws(ConfigurationError) -> ConfigurationDraft {
    var flags = ConfigurationDraft()
    flags.set(.name, name, from: "--name")
    flags.set(.kernel, kernel.map(FilePath.absolute), from: "--kernel")
    flags.set(.initramfs, initramfs.map(FilePath.absolute), from: "--initramfs")
    flags.set(.commandLine, commandLine, from: "--command-line")
    flags.set(.unpackKernel, unpackKernel, from: "--unpack-kernel")
    flags.set(.processors, processors, from: "--processors")
    flags.set(.memory, memory, from: "--memory")
    flags.set(.serial, serial.map(absoluteSerial), from: "--serial")
    flags.set(.busVersion, vmbusVersion, from: "--vmbus-version")
    flags.set(.accelerator, accelerator, from: "--accelerator")
    flags.set(.onCrash, onCrash, from: "--on-crash")
    for service in disabled { flags.set(service: service, "off", from: "--disable") }
    for item in keyValues {
      guard let equals = item.firstIndex(of: "="), equals != item.startIndex else {
        throw ConfigurationError(source: "--kvp", "\"\(item)\" is not KEY=VALUE", remedy: "use --kvp role=web")
      }
      flags.set(keyValue: String(item[..<equals]), String(item[item.index(after: equals)...]), from: "--kvp")
    }
    for text in disks {
      flags.add(try DeviceDraft(flag: text, from: "--disk"), to: .disks, absolute: FilePath.absolute)
    }
    for text in ideDrives {
      flags.add(try DeviceDraft(flag: text, from: "--ide"), to: .ide, absolute: FilePath.absolute)
    }
    for text in dvds { flags.add(try DeviceDraft(flag: text, from: "--dvd"), to: .dvds, absolute: FilePath.absolute) }
    for (texts, list, flag) in [
      (adapters, ConfigurationDraft.DeviceList.nics, "--nic"), (legacyAdapters, .legacyNICs, "--legacy-nic"),
    ] {
      for text in texts {
        flags.add(try DeviceDraft(flag: text, first: list.firstKey, from: flag), to: list, absolute: FilePath.absolute)
      }
    }
    return flags
  }

  private func absoluteSerial(_ text: String) -> String {
    guard text.hasPrefix("file:"), text.utf8.count > 5 else { return text }
    return "file:" + FilePath.absolute(String(text.dropFirst(5)))
  }
}

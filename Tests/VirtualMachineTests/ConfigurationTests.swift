// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import Testing

@testable import VirtualMachine

/// Flags and YAML to a configuration, and the words in which each is refused.
@Suite struct ConfigurationTests {
  private func parse(_ yaml: String) throws -> VirtualMachineConfiguration {
    try ConfigurationFile.parse(yaml, path: "web.yaml", folder: "/vms").finish(defaultName: "web")
  }

  private func refusal(_ yaml: String) -> String {
    do {
      _ = try parse(yaml)
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  @Test func aFullFile() throws {
    let configuration = try parse(
      """
      # A machine with everything set.
      name: web-1
      processors: 4
      memory: 2G
      kernel: boot/vmlinuz
      initramfs: /boot/initrd.img
      command-line: console=ttyS0 quiet panic=-1
      unpack-kernel: guest
      serial: file:boot.log
      vmbus-version: 5.2
      accelerator: kvm
      on-crash: restart
      services:
        time: off
        copy: on
      kvp:
        role: "web server"
        größe: 12
      """)
    #expect(
      configuration
        == VirtualMachineConfiguration(
          name: "web-1", processors: 4, memory: ByteCount(rawValue: 2 << 30), kernel: "/vms/boot/vmlinuz",
          initramfs: "/boot/initrd.img", commandLine: "console=ttyS0 quiet panic=-1", unpackKernel: .guest,
          serial: .file("/vms/boot.log"), busVersionLimit: BusVersion(major: 5, minor: 2), accelerator: .kvm,
          disabledServices: [.time],
          keyValues: ["role": "web server", "größe": "12"], onCrash: .restart))
  }

  @Test func theHostUnpacksWhereItIsVirtual() {
    for isNested in [false, true] {
      #expect(KernelUnpacking.guest.isForGuest(isNested: isNested))
      #expect(!KernelUnpacking.host.isForGuest(isNested: isNested))
      #expect(KernelUnpacking.auto.isForGuest(isNested: isNested) == !isNested)
    }
  }

  @Test func defaults() throws {
    let configuration = try parse("kernel: /k")
    #expect(configuration == VirtualMachineConfiguration(name: "web", kernel: "/k"))
    #expect(configuration.memory.description == "512M")
    #expect(configuration.serial == .interactive && configuration.onCrash == .keep)
  }

  @Test func flagsOverrideTheFile() throws {
    let file = try ConfigurationFile.parse(
      "name: a\nkernel: k\nmemory: nonsense\nserial: off\nservices:\n  time: off\n", path: "a.yaml", folder: "/f")
    var flags = ConfigurationDraft()
    flags.set(.memory, "1G", from: "--memory")
    flags.set(.initramfs, nil, from: "--initramfs")
    flags.set(service: "time", "on", from: "--enable")
    let configuration = try file.merged(with: flags).finish(defaultName: "x")
    #expect(configuration.memory.rawValue == 1 << 30)
    #expect(configuration.name == "a" && configuration.serial == .off && configuration.disabledServices == [])
  }

  @Test func survivesJSON() throws {
    let configuration = try parse(
      "kernel: /k\nserial: file:log\nvmbus-version: 4.1\nservices: {time: off}\nkvp: {a: b}")
    let bytes = try JSONEncoder().encode(configuration)
    #expect(try JSONDecoder().decode(VirtualMachineConfiguration.self, from: bytes) == configuration)
  }

  @Test(arguments: [
    ("memroy: 1G\n", "web.yaml:1: unknown key \"memroy\"; did you mean \"memory\"?"),
    (
      "kernel: k\ncolour: red\n",
      "web.yaml:2: unknown key \"colour\"; known keys are name, processors, memory, kernel, initramfs, command-line, "
        + "unpack-kernel, serial, vmbus-version, accelerator, on-crash, services, kvp, disks, dvds, ide, nics, "
        + "legacy-nics"
    ),
    ("kernel: k\nkernel: j\n", "web.yaml:2: key \"kernel\" is given twice; remove one of them"),
    ("kernel: k\nunpack-kernel: me\n", "web.yaml:2: \"me\" is no choice for unpack-kernel; use auto, host, guest"),
    ("kernel: k\nprocessors: 0\n", "web.yaml:2: \"0\" is not a number of processors; use 1 to 8"),
    ("kernel: k\nprocessors: [1]\n", "web.yaml:2: \"processors\" must be one value, not a list"),
    ("kernel: k\nprocessors:\n", "web.yaml:2: \"processors\" has no value; give one, or remove the key"),
    (
      "kernel: k\nmemory: much\n",
      "web.yaml:2: \"much\" is not a size; use a number with K, M, G or T, such as 512M or 2G"
    ),
    (
      "kernel: k\nmemory: 64M\n",
      "web.yaml:2: 64M of memory is too little; use 128M to 4T, and no more than the host has"
    ),
    (
      "kernel: k\nmemory: 99999999G\n",
      "web.yaml:2: 99999999G of memory is too much; use 128M to 4T, and no more than the host has"
    ),
    (
      "kernel: k\nmemory: 262145K\n",
      "web.yaml:2: 262145K of memory is not a whole number of mebibytes; use 256M"
    ),
    (
      "kernel: k\nserial: com1\n",
      "web.yaml:2: \"com1\" is no place for the serial console; use interactive, off or file:PATH"
    ),
    (
      "kernel: k\nvmbus-version: 6.0\n",
      "web.yaml:2: \"6.0\" is not a VMBus version that a guest can be held to; use 4.0, 4.1, 5.0, 5.1, 5.2, 5.3"
    ),
    (
      "kernel: k\naccelerator: xen\n",
      "web.yaml:2: \"xen\" is no choice for accelerator; use auto, kvm, software"
    ),
    (
      "kernel: k\nservices:\n  coffee: on\n",
      "web.yaml:3: there is no service \"coffee\"; services are heartbeat, shutdown, time, kvp, copy, snapshot"
    ),
    ("kernel: k\nservices:\n  time: later\n", "web.yaml:3: a service cannot be \"later\"; use on or off"),
    ("kernel: k\nservices: time\n", "web.yaml:2: \"services\" must be a list of keys and values; indent one per line"),
    (
      "name: ../x\nkernel: k\n",
      "web.yaml:1: \"../x\" cannot be a machine's name; use 1 to 40 letters, digits, dots, "
        + "hyphens and underscores, the first a letter or digit"
    ),
    ("processors: 2\n", "no kernel is given; name one with --kernel or in the YAML file"),
    ("", "web.yaml: the file is empty; describe a machine: name, kernel …"),
    ("- a\n- b\n", "web.yaml:1: this is not a list of keys and values"),
    ("{a: b}: c\n", "web.yaml:1: a key must be plain text"),
    (
      "kernel: k\ncommand-line: \"a\\nb\"\n",
      "web.yaml:2: the kernel's command line holds a control character; write it in one line"
    ),
  ])
  func refusals(yaml: String, message: String) { #expect(refusal(yaml) == message) }

  @Test(arguments: ["name: [\n", "a: b: c\n", "\t- x\n", "key: 'open\n", "a: *unknown\n", "%YAML 9.9\n---\na"])
  func textThatIsNotYAML(yaml: String) {
    let message = refusal(yaml)
    #expect(message.hasPrefix("web.yaml") && message != "accepted", "\(message)")
  }

  @Test func aliasesDoNotExplode() throws {
    var yaml = "a0: &a0 [x]\n"
    for level in 1...60 { yaml += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
    #expect(refusal(yaml).hasPrefix("web.yaml:1: unknown key \"a0\""))
  }

  @Test func sizes() {
    for (text, bytes) in [
      ("1", 1), ("1K", 1024), ("512M", 512 << 20), ("512MiB", 512 << 20), ("2g", 2 << 30), ("1T", 1 << 40),
    ]
      as [(String, UInt64)]
    {
      #expect(ByteCount(text)?.rawValue == bytes)
    }
    for text in ["", "K", "-1M", "1.5G", "1 G", "1MB", "99999999999999999999", "18446744073709551615K", "iB", "٣M"] {
      #expect(ByteCount(text) == nil, "\(text)")
    }
    #expect(ByteCount(rawValue: 1536 << 20).description == "1536M")
  }

  @Test func inputs() throws {
    let folder = "/tmp/lis-test-\(UUID().uuidString.prefix(13))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func file(_ name: String, _ size: Int) -> String {
      #expect(FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: Data(count: size)))
      return "\(folder)/\(name)"
    }
    func refusal(kernel: String, initramfs: String? = nil, hostMemory: UInt64 = 1 << 40) -> ConfigurationError? {
      let configuration = VirtualMachineConfiguration(
        name: "x", memory: .minimumMemory, kernel: kernel, initramfs: initramfs)
      do {
        try configuration.checkInputs(hostMemory: hostMemory)
        return nil
      } catch {
        return error
      }
    }
    let kernel = file("kernel", 10_000)
    #expect(refusal(kernel: kernel, initramfs: file("initramfs", 1)) == nil)
    #expect(
      refusal(kernel: "\(folder)/none")?.description
        == "the kernel \(folder)/none cannot be opened: No such file or directory; check the path and its permissions")
    #expect(refusal(kernel: folder)?.description == "the kernel \(folder) is not a file; name a file")
    #expect(refusal(kernel: file("empty", 0))?.description == "the kernel \(folder)/empty is empty; name a file")
    #expect(refusal(kernel: "/dev/zero")?.isInput == true)
    let large = "\(folder)/large"
    #expect(FileManager.default.createFile(atPath: large, contents: nil))
    try FileHandle(forWritingTo: #require(URL(string: "file://\(large)"))).truncate(atOffset: 1 << 30)
    #expect(
      refusal(kernel: kernel, initramfs: large)?.description
        == "the initramfs \(large) (1024 MiB) does not fit into 128M of memory; give the machine more memory")
    #expect(
      refusal(kernel: kernel, hostMemory: 100 << 20)?.description
        == "memory: 128M is more than this host has (100M); use less")
  }

  @Test func readsAFile() throws {
    let path = "/tmp/lis-test-\(UUID().uuidString.prefix(13)).yaml"
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(FileManager.default.createFile(atPath: path, contents: Data("kernel: k\n".utf8)))
    #expect(try ConfigurationFile.read(path).finish(defaultName: "x").kernel == "/tmp/k")
    #expect(FileManager.default.createFile(atPath: path, contents: Data([0x6b, 0x3a, 0x20, 0xff])))
    #expect(throws: ConfigurationError.self) { try ConfigurationFile.read(path) }
    #expect(throws: ConfigurationError.self) { try ConfigurationFile.read("/tmp/absent.yaml") }
    #expect(throws: ConfigurationError.self) { try ConfigurationFile.read("/dev/zero") }
  }
}

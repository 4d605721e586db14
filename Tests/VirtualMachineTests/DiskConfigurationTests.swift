// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import VirtualDisks

@testable import VirtualMachine

/// Disks and DVD drives from flags and YAML, and the words in which each is refused.
@Suite struct DiskConfigurationTests {
  private func parse(_ yaml: String) throws -> [DiskConfiguration] {
    try ConfigurationFile.parse("kernel: k\n" + yaml, path: "web.yaml", folder: "/vms").finish(defaultName: "web").disks
  }

  private func flags(_ disks: [String], dvds: [String] = []) throws -> ConfigurationDraft {
    var draft = ConfigurationDraft()
    draft.set(.kernel, "/k", from: "--kernel")
    for text in disks {
      draft.add(try DeviceDraft(flag: text, from: "--disk"), to: .disks) { FilePath.join("/here", $0) }
    }
    for text in dvds { draft.add(try DeviceDraft(flag: text, from: "--dvd"), to: .dvds) { FilePath.join("/here", $0) } }
    return draft
  }

  private func refusal(_ body: () throws -> some Any) -> String {
    do {
      _ = try body()
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  @Test func aListWithEverything() throws {
    let disks = try parse(
      """
      dvds:
        - empty
        - path: cd/install.iso
          controller: 1
        - controller: 3
        - {path: strange.bin, format: iso, lun: 9}
      disks:
        - root.vhdx
        - path: /data/big.dat
          format: raw
          controller: 1
          lun: 5
          read-only: yes
          cache: off
          sector: 4096
        - old.vhd
      """)
    #expect(
      disks == [
        DiskConfiguration(path: "/vms/root.vhdx", format: .vhdx, unit: 0),
        DiskConfiguration(
          path: "/data/big.dat", format: .raw, controller: 1, unit: 5, isReadOnly: true, hasWriteCache: false,
          sectorByteCount: 4096),
        DiskConfiguration(path: "/vms/old.vhd", format: .vhd, unit: 1),
        DiskConfiguration(kind: .dvd, path: nil, unit: 2),
        DiskConfiguration(kind: .dvd, path: "/vms/cd/install.iso", format: .iso, controller: 1, unit: 0),
        DiskConfiguration(kind: .dvd, path: nil, controller: 3, unit: 0),
        DiskConfiguration(kind: .dvd, path: "/vms/strange.bin", format: .iso, unit: 9),
      ])
    #expect(disks.filter { $0.kind == .dvd }.allSatisfy { $0.isReadOnly })
  }

  @Test func flagsSayTheSame() throws {
    let disks = try flags(
      [
        "root.vhdx", "/data/big.dat,format=raw,controller=1,lun=5,read-only,cache=off,sector=4K",
        "with,,two,,,,commas=x.img,lun=0,read-only=no",
      ], dvds: ["empty", "cd/install.iso,controller=1", "./empty,format=iso,lun=9"]
    ).finish(defaultName: "x").disks
    #expect(
      disks == [
        DiskConfiguration(path: "/here/root.vhdx", format: .vhdx, unit: 1),
        DiskConfiguration(
          path: "/data/big.dat", format: .raw, controller: 1, unit: 5, isReadOnly: true, hasWriteCache: false,
          sectorByteCount: 4096),
        DiskConfiguration(path: "/here/with,two,,commas=x.img", format: .raw, unit: 0),
        DiskConfiguration(kind: .dvd, path: nil, unit: 2),
        DiskConfiguration(kind: .dvd, path: "/here/cd/install.iso", format: .iso, controller: 1, unit: 0),
        DiskConfiguration(kind: .dvd, path: "/here/./empty", format: .iso, unit: 9),
      ])
  }

  @Test func flagsAndFileAddUp() throws {
    let file = try ConfigurationFile.parse("kernel: k\ndisks: [a.vhdx]\n", path: "a.yaml", folder: "/f")
    let disks = try file.merged(with: try flags(["b.vhdx", "c.vhdx,lun=0"])).finish(defaultName: "x").disks
    #expect(disks.map(\.path) == ["/f/a.vhdx", "/here/b.vhdx", "/here/c.vhdx"])
    #expect(disks.map(\.unit) == [1, 2, 0])
  }

  @Test func survivesJSON() throws {
    let disks = try parse("disks: [a.vhdx, {path: b, format: raw, sector: 512}]\ndvds: [empty]\n")
    #expect(try JSONDecoder().decode([DiskConfiguration].self, from: JSONEncoder().encode(disks)) == disks)
  }

  @Test(arguments: [
    ("disks: a.vhdx\n", "web.yaml:2: \"disks\" must be a list; begin each item with \"- path: …\""),
    ("disks:\n  - [a]\n", "web.yaml:3: \"an item of disks\" must be one value, not a list"),
    ("disks:\n  - path:\n", "web.yaml:3: \"path\" has no value; give one, or remove the key"),
    ("disks:\n  - path: \"\"\n", "web.yaml:3: a disk without a file; give its path"),
    ("disks:\n  - lun: 1\n", "web.yaml:3: a disk without a file; give its path"),
    ("disk:\n  - a.vhdx\n", "web.yaml:2: unknown key \"disk\"; did you mean \"disks\"?"),
    ("disks:\n  - path: a.vhdx\n    lum: 1\n", "web.yaml:4: a disk has no \"lum\"; did you mean \"lun\"?"),
    (
      "disks:\n  - path: a.vhdx\n    colour: red\n",
      "web.yaml:4: a disk has no \"colour\"; known keys are path, format, controller, lun, read-only, cache, sector"
    ),
    (
      "dvds:\n  - path: a.iso\n    cache: off\n",
      "web.yaml:4: a DVD drive has no \"cache\"; known keys are path, format, controller, lun"
    ),
    ("disks:\n  - path: a.vhdx\n    lun: 64\n", "web.yaml:4: lun cannot be \"64\"; use 0 to 63"),
    ("disks:\n  - path: a.vhdx\n    lun: -1\n", "web.yaml:4: lun cannot be \"-1\"; use 0 to 63"),
    ("disks:\n  - path: a.vhdx\n    controller: 4\n", "web.yaml:4: controller cannot be \"4\"; use 0 to 3"),
    ("disks:\n  - path: a.vhdx\n    cache: maybe\n", "web.yaml:4: cache cannot be \"maybe\"; use yes or no, on or off"),
    ("disks:\n  - path: a.vhdx\n    format: qcow2\n", "web.yaml:4: format cannot be \"qcow2\"; use raw, vhd, vhdx"),
    ("disks:\n  - path: a.raw\n    sector: 520\n", "web.yaml:4: sector cannot be \"520\"; use 512 or 4096"),
    (
      "disks:\n  - path: a.vhdx\n    sector: 4096\n",
      "web.yaml:3: /vms/a.vhdx is a vhdx image, which says its sector size itself; "
        + "give a sector size for raw images only"
    ),
    (
      "disks:\n  - a.qcow2\n",
      "web.yaml:3: the name of /vms/a.qcow2 does not tell its format; give the format: raw, vhd or vhdx"
    ),
    ("disks: [a.iso]\n", "web.yaml:2: /vms/a.iso is an ISO image; attach it as a DVD, or give the format raw"),
    (
      "dvds: [a.vhd]\n",
      "web.yaml:2: /vms/a.vhd is a vhd image by its name, and a DVD drive takes ISO images; "
        + "attach it as a disk, or give the format iso if it is one"
    ),
    (
      "disks:\n  - path: a.vhdx\n    lun: 3\n  - path: b.vhdx\n    lun: 3\n",
      "web.yaml:6: LUN 3 of controller 0 is taken by /vms/a.vhdx (web.yaml:3); give each disk a LUN of its own, or none"
    ),
    (
      "disks:\n  - a.vhdx\n  - path: a.vhdx\n    read-only: on\n",
      "web.yaml:4: /vms/a.vhdx is attached twice (web.yaml:3); "
        + "two disks can share a file only when both are read-only"
    ),
  ])
  func refusals(yaml: String, message: String) {
    let said = refusal { try parse(yaml) }
    #expect(said == message)
  }

  @Test(arguments: [
    ("", "--disk: a disk without a file; give its path"),
    ("lun=1", "--disk: the name of /here/lun=1 does not tell its format; give the format: raw, vhd or vhdx"),
    (
      "a.vhdx,",
      "--disk: \"a.vhdx,\" has a comma without a key behind it; use PATH,key=value; a comma in a path is written twice"
    ),
    (
      "a.vhdx,=1",
      "--disk: \"a.vhdx,=1\" has a comma without a key behind it; use PATH,key=value; a comma in a path is written twice"
    ),
    ("a.vhdx,lun=1,lun=2", "--disk: \"lun\" is given twice; remove one of them"),
    ("a.vhdx,path=b", "--disk: \"path\" is given twice; remove one of them"),
    ("a.vhdx,lun", "--disk: lun cannot be \"yes\"; use 0 to 63"),
    ("a.vhdx,readonly", "--disk: a disk has no \"readonly\"; did you mean \"read-only\"?"),
    (
      "a,bcdefgh.vhdx",
      "--disk: a disk has no \"bcdefgh.vhdx\"; it has path, format, controller, lun, read-only, cache, sector; "
        + "a comma in a path is written twice"
    ),
  ])
  func flagRefusals(text: String, message: String) {
    let said = refusal { try flags([text]).finish(defaultName: "x") }
    #expect(said == message)
  }

  @Test func aControllerFillsUp() throws {
    let full = (0..<64).map { "\($0).vhdx" }
    let disks = try flags(full).finish(defaultName: "x").disks
    #expect(disks.map(\.unit) == Array(0..<64))
    let said = refusal { try flags(full + ["one-more.vhdx"]).finish(defaultName: "x") }
    #expect(
      said
        == "--disk: controller 0 has no LUN left for /here/one-more.vhdx (--disk); use another of the controllers 0 to 3"
    )
  }

  @Test func twoReadersMayShareAFile() throws {
    let disks = try flags(["a.vhdx,read-only", "a.vhdx,read-only"], dvds: ["d.iso", "d.iso"]).finish(defaultName: "x")
    #expect(disks.disks.count == 4)
  }

  @Test func inputs() throws {
    let folder = "/tmp/lis-test-\(UUID().uuidString.prefix(13))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for name in ["kernel", "a.raw", "d.iso"] {
      #expect(FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: Data(count: 4096)))
    }
    #expect(FileManager.default.createFile(atPath: "\(folder)/empty.raw", contents: nil))
    try FileManager.default.createSymbolicLink(atPath: "\(folder)/b.raw", withDestinationPath: "a.raw")
    func check(_ disks: DiskConfiguration...) -> String {
      refusal {
        try VirtualMachineConfiguration(name: "x", memory: .minimumMemory, kernel: "\(folder)/kernel", disks: disks)
          .checkInputs(hostMemory: 1 << 40)
      }
    }
    func disk(_ name: String, readOnly: Bool = false) -> DiskConfiguration {
      DiskConfiguration(path: "\(folder)/\(name)", format: .raw, unit: 0, isReadOnly: readOnly)
    }
    let disc = DiskConfiguration(kind: .dvd, path: "\(folder)/d.iso", format: .iso, unit: 1)
    #expect(check(disk("a.raw"), disc, DiskConfiguration(kind: .dvd, path: nil, unit: 2)) == "accepted")
    #expect(
      check(disk("none.raw"))
        == "the disk \(folder)/none.raw cannot be opened: No such file or directory; check the path and its permissions"
    )
    #expect(check(disk("empty.raw")) == "the disk \(folder)/empty.raw is empty; name a file")
    #expect(
      check(DiskConfiguration(path: folder, format: .raw, unit: 0, isReadOnly: true)).hasSuffix(
        "is not a file; name a file"))
    #expect(check(DiskConfiguration(path: "/dev/zero", format: .raw, unit: 0)).hasSuffix("is not a file; name a file"))
    #expect(
      check(disk("a.raw"), disk("b.raw"))
        == "\(folder)/a.raw and \(folder)/b.raw are the same file; "
        + "two disks can share a file only when both are read-only")
    #expect(check(disk("a.raw", readOnly: true), disk("b.raw", readOnly: true)) == "accepted")
    var other = disc
    other.path = "\(folder)/none.iso"
    #expect(check(other).hasPrefix("the disc \(folder)/none.iso cannot be opened"))
  }
}

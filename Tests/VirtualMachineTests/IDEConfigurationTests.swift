// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Testing
import VirtualDisks

@testable import VirtualMachine

/// IDE drives of flags and YAML, and the words in which they are refused.
@Suite struct IDEConfigurationTests {
  private func parse(_ yaml: String) throws -> [IDEDrive] {
    try ConfigurationFile.parse("kernel: /k\n" + yaml, path: "web.yaml", folder: "/vms").finish(defaultName: "web")
      .ideDrives
  }

  private func refusal(_ flags: [String]) -> String {
    do {
      var draft = ConfigurationDraft()
      draft.set(.kernel, "/k", from: "--kernel")
      for flag in flags { draft.add(try DeviceDraft(flag: flag, from: "--ide"), to: .ide) { "/here/\($0)" } }
      return "accepted: \(try draft.finish(defaultName: "web").ideDrives.map(\.place.rawValue))"
    } catch {
      return "\(error)"
    }
  }

  @Test func drivesFindTheirPlaces() throws {
    let drives = try parse(
      """
      ide:
        - path: root.vhdx
        - path: tools.iso
          dvd: yes
        - path: /data.img
          format: raw
          position: primary-master
          read-only: yes
        - dvd: yes
      """)
    #expect(
      drives == [
        IDEDrive(place: .primarySlave, disk: DiskConfiguration(path: "/vms/root.vhdx", format: .vhdx)),
        IDEDrive(place: .secondaryMaster, disk: DiskConfiguration(kind: .dvd, path: "/vms/tools.iso", format: .iso)),
        IDEDrive(
          place: .primaryMaster, disk: DiskConfiguration(path: "/data.img", format: .raw, isReadOnly: true)),
        IDEDrive(place: .secondarySlave, disk: DiskConfiguration(kind: .dvd, path: nil)),
      ])
  }

  @Test func refusals() {
    #expect(refusal(["a.vhd", ",dvd"]) == "accepted: [\"primary-master\", \"secondary-master\"]")
    #expect(refusal([""]).contains("an IDE disk without a file"))
    #expect(refusal(["a.vhd,lun=1"]).contains("an IDE drive has no \"lun\""))
    #expect(refusal(["a.vhd,position=third"]).contains("position cannot be \"third\""))
    #expect(
      refusal(["a.vhd,position=primary-slave", "b.vhd,position=primary-slave"])
        .contains("primary-slave is taken by /here/a.vhd"))
    #expect(refusal(Array(repeating: "a.vhd", count: 5)).contains("room for 4 drives"))
    #expect(refusal(["a.thing"]).contains("does not tell its format"))
    #expect(refusal(["a.iso"]).contains("is an ISO image"))
  }
}

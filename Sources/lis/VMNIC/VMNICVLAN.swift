// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMNICVLAN: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "vlan", abstract: "Change which VLANs a network adapter takes part in.",
    discussion: """
      untagged: in the network without a VLAN, neither sends nor gets tags. access: in one VLAN, of which it sees \
      nothing. trunk: carries the VLANs of a list with tags, and the native one (by default the network without a VLAN) \
      without. Whatever else it sends is dropped.

      EXAMPLES
        lis vm nic vlan web nic0 access 5
        lis vm nic vlan web nic0 trunk 1-10,20 native 1
        lis vm nic vlan web nic0 untagged
      """)

  @OptionGroup var nic: NICArgument

  @Argument(
    help: ArgumentHelp("untagged, access ID or trunk LIST [native ID].", valueName: "mode"),
    completion: .list(["untagged", "access", "trunk", "native"]))
  var words: [String]

  @OptionGroup var format: FormatOption

  var mode: String { words.joined(separator: " ") }

  func validate() throws {
    try NICValidation.check { _ throws(ConfigurationError) in
      try NetworkAdapterConfiguration.check(vlan: mode, source: "<mode>")
    }
  }

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.nic(try await nic.machine.client.setVLAN(ofNIC: nic.name, mode)))
  }
}

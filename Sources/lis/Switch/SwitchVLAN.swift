// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct SwitchVLAN: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "vlan", abstract: "Change which VLANs a port of a virtual switch takes part in.",
    discussion: """
      The words are those of `lis vm nic vlan`. What an adapter's machine says later, or when it attaches again, goes \
      before.

      EXAMPLES
        lis switch vlan lab web/nic0 access 5
        lis switch vlan lab uplink trunk 1-10,20 native 1
        lis switch vlan lab web/nic0 untagged
      """)

  @OptionGroup var port: SwitchPortArgument

  @Argument(
    help: ArgumentHelp("untagged, access ID or trunk LIST [native ID].", valueName: "mode"),
    completion: .list(["untagged", "access", "trunk", "native"]))
  var words: [String]

  @OptionGroup var format: FormatOption

  func validate() throws { _ = try mode() }

  func mode() throws -> PortVLAN {
    do throws(ConfigurationError) {
      return try PortVLAN(words: words.joined(separator: " "), from: "<mode>")
    } catch {
      throw ValidationError(error.description)
    }
  }

  func perform() async throws(ControlError) {
    guard let mode = try? mode() else { throw ControlError(.badRequest, "no VLAN mode") }
    let update = SwitchPortUpdate(vlan: mode)
    StandardOutput.write(format.rendering.switchPort(try await port.client.updatePort(port.port, update)))
  }
}

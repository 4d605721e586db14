// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMNICDisconnect: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "disconnect", abstract: "Unplug a network adapter: the guest sees no link.",
    discussion: """
      What it was connected to is let go. `lis vm nic link … down` takes only the cable out.
      """)

  @OptionGroup var nic: NICArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    let request = NICConnectionRequest(connection: "none")
    StandardOutput.write(format.rendering.nic(try await nic.machine.client.connectNIC(nic.name, request)))
  }
}

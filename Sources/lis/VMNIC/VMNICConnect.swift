// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMNICConnect: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "connect", abstract: "Plug a network adapter into something else.",
    discussion: """
      When that fails it stays where it was. The guest sees its link go down and up, so that it asks for its addresses \
      anew; a capture that runs is ended.

      EXAMPLES
        lis vm nic connect web nic0 tap:tap1
        lis vm nic connect web nic0 user --forward tcp:2222:22
      """)

  @OptionGroup var nic: NICArgument
  @OptionGroup var plug: NICConnectionOptions
  @OptionGroup var format: FormatOption

  func validate() throws {
    try NICValidation.check { source throws(ConfigurationError) in
      try NetworkAdapterConfiguration.check(plug.request, source: source)
    }
  }

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.nic(try await nic.machine.client.connectNIC(nic.name, plug.request)))
  }
}

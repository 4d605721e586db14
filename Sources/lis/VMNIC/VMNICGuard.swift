// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMNICGuard: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "guard", abstract: "Change what a network adapter's port is held to.",
    discussion: """
      What is not named stays as it is.

      EXAMPLES
        lis vm nic guard web nic0 --router-guard yes --dhcp-guard yes
        lis vm nic guard web nic0 --spoofing no
      """)

  @OptionGroup var nic: NICArgument
  @OptionGroup var guards: GuardOptions
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    let request = NICGuardsRequest(
      spoofing: guards.spoofing?.isYes, isolated: guards.isolated?.isYes, routerGuard: guards.routerGuard?.isYes,
      dhcpGuard: guards.dhcpGuard?.isYes)
    StandardOutput.write(format.rendering.nic(try await nic.machine.client.setGuards(ofNIC: nic.name, request)))
  }
}

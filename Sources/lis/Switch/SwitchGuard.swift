// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct SwitchGuard: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "guard", abstract: "Change what a port of a virtual switch is held to.",
    discussion: """
      What is not named stays as it is. What an adapter's machine says later, or when it attaches again, goes before.

      EXAMPLES
        lis switch guard lab web/nic0 --router-guard yes --dhcp-guard yes
      """)

  @OptionGroup var port: SwitchPortArgument
  @OptionGroup var guards: GuardOptions
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    let update = SwitchPortUpdate(
      allowSpoofing: guards.spoofing?.isYes, isolated: guards.isolated?.isYes, routerGuard: guards.routerGuard?.isYes,
      dhcpGuard: guards.dhcpGuard?.isYes)
    StandardOutput.write(format.rendering.switchPort(try await port.client.updatePort(port.port, update)))
  }
}

enum YesOrNo: String, CaseIterable, ExpressibleByArgument, Sendable {
  case yes, no
  var isYes: Bool { self == .yes }
}

/// What a port is held to; nil: as it is.
struct GuardOptions: ParsableArguments {
  @Option(help: "Whether the guest may send from other addresses: yes or no.")
  var spoofing: YesOrNo?

  @Option(help: "Whether no frames pass to and from other isolated adapters: yes or no.")
  var isolated: YesOrNo?

  @Option(help: "Whether the guest may not announce itself as a router: yes or no.")
  var routerGuard: YesOrNo?

  @Option(help: "Whether the guest may not answer DHCP: yes or no.")
  var dhcpGuard: YesOrNo?

  func validate() throws {
    guard spoofing != nil || isolated != nil || routerGuard != nil || dhcpGuard != nil else {
      throw ValidationError("Name what to change: --spoofing, --isolated, --router-guard or --dhcp-guard.")
    }
  }
}

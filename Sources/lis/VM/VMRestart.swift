// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMRestart: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart", abstract: "Reboot a machine's guest, or reset the machine.",
    discussion: "Returns when the machine was reset. Without --reset the guest's shutdown service must be ready.")

  @OptionGroup var machine: MachineArgument

  @Flag(help: "Reset at once, without asking the guest.")
  var reset = false

  @Option(help: ArgumentHelp("How long the guest may take, 1 to 3600.", valueName: "seconds"))
  var timeout: Double = 60

  func validate() throws { try Timeouts.check(timeout, "--timeout", 1...3600) }

  func perform() async throws(ControlError) {
    try await machine.client.restart(
      reset ? RestartRequest(mode: .reset) : RestartRequest(mode: .reboot, timeoutSeconds: timeout))
  }
}

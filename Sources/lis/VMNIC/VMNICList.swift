// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMNICList: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List a machine's network adapters.",
    discussion: "JSON has all their settings and counters, and what was dropped for which reason, too.")

  @OptionGroup var machine: MachineArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.nics(try await machine.client.nics()))
  }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMNMI: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "nmi", abstract: "Send a machine's processors a non-maskable interrupt.")

  @OptionGroup var machine: MachineArgument

  func perform() async throws(ControlError) { try await machine.client.injectNMI() }
}

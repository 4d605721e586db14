// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMPause: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Stop a machine's processors; its clock is set right on resume.")

  @OptionGroup var machine: MachineArgument

  func perform() async throws(ControlError) { try await machine.client.pause() }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMResume: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Let a paused machine go on.")

  @OptionGroup var machine: MachineArgument

  func perform() async throws(ControlError) { try await machine.client.resume() }
}

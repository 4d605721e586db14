// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMThaw: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "thaw", abstract: "Let a guest's frozen file systems go on.")

  @OptionGroup var machine: MachineArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.snapshot(try await machine.client.thaw()))
  }
}

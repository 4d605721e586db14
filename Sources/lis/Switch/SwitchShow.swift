// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct SwitchShow: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a virtual switch, its ports and their counters.")

  @OptionGroup var target: SwitchArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.virtualSwitch(try await SwitchClient(target.name).describe()))
  }
}

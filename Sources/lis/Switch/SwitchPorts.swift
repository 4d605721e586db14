// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct SwitchPorts: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "ports", abstract: "List the ports of a virtual switch.",
    discussion: "The way out is the port \"uplink\"; a machine's adapter is called MACHINE/ADAPTER.")

  @OptionGroup var target: SwitchArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.switchPorts(try await SwitchClient(target.name).describe().ports))
  }
}

/// A switch and one of its ports.
struct SwitchPortArgument: ParsableArguments {
  @OptionGroup var target: SwitchArgument

  @Argument(help: ArgumentHelp("The port, such as web/nic0 or uplink.", valueName: "port"))
  var port: String

  func validate() throws {
    guard !port.isEmpty else { throw ValidationError("A port's name is not empty.") }
  }

  var client: SwitchClient { SwitchClient(target.name) }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct SwitchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "switch", abstract: "Virtual switches that machines share.",
    discussion: """
      A switch is a process of its own, which `create` starts and `remove` ends. VLANs, addresses and guards of each port \
      are the switch's to enforce; docs/openapi-switch.yaml has its API.
      """,
    subcommands: [
      SwitchCreate.self, SwitchList.self, SwitchShow.self, SwitchPorts.self, SwitchVLAN.self, SwitchGuard.self,
      SwitchCaptureCommand.self, SwitchRemove.self, SwitchServe.self,
    ])
}

/// The switch that a command is for.
struct SwitchArgument: ParsableArguments {
  @Argument(help: ArgumentHelp("The switch's name.", valueName: "switch"))
  var name: MachineName
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct SwitchCreate: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make a virtual switch.",
    discussion: """
      Returns when machines can attach. The switch goes on until `lis switch remove`, or until its process is ended.

      EXAMPLES
        lis switch create lab --kind private
        lis switch create host --kind internal --tap lis0
        lis switch create office --kind external --tap tap0 --queues 4
        lis switch create nat --kind external --nat --forward 8080:80
      """)

  @OptionGroup var target: SwitchArgument
  @OptionGroup var options: SwitchOptions
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    // What is wrong with the command line is said here, before there is a process.
    _ = try options.uplink(of: target.name)
    try SwitchProcess.start([target.name.text] + options.arguments)
    StandardOutput.write(format.rendering.virtualSwitch(try await SwitchClient(target.name).describe()))
  }
}

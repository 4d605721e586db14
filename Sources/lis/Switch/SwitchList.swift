// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct SwitchList: ControlCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List the virtual switches.")

  @OptionGroup var format: FormatOption

  @Flag(name: [.short, .long], help: "Print names only.")
  var quiet = false

  func perform() async throws(ControlError) {
    let names = RuntimeDirectory.switches().runningMachines()
    if quiet {
      StandardOutput.write(names.map { "\($0)\n" }.joined())
      return
    }
    var found: [SwitchDescription] = []
    for name in names {
      // One that is just being made or removed is not there yet, or not any more.
      if let one = try? await SwitchClient(name).describe() { found.append(one) }
    }
    StandardOutput.write(format.rendering.switches(found))
  }
}

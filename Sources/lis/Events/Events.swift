// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct EventsCommand: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "events", abstract: "Print what happens to a machine, until it ends.",
    discussion: """
      Starts with what happened before, then follows. In JSON one event stands in each line; their sequence numbers \
      have a gap where the reader was too slow.
      """)

  @OptionGroup var machine: MachineArgument

  @Flag(help: "Print what happened so far, and end.")
  var past = false

  @Flag(help: "Leave out what happened before.")
  var new = false

  @Option(help: ArgumentHelp("Only events after this one.", valueName: "sequence"))
  var since: UInt64 = 0

  @OptionGroup var format: FormatOption

  func validate() throws {
    if past, new { throw ValidationError("--past and --new leave nothing to print; give one of them.") }
  }

  func perform() async throws(ControlError) {
    let rendering = format.rendering
    try await machine.client.events(since: new ? nil : since, follow: !past) { event in
      StandardOutput.write(rendering.event(event))
    }
  }
}

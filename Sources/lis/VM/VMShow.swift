// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMShow: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show everything about a machine: state, heartbeat, disks, adapters, services, bus.")

  @OptionGroup var machine: MachineArgument
  @OptionGroup var format: FormatOption

  @Flag(help: "Print the counters, too (JSON has them always).")
  var statistics = false

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.machine(try await machine.client.describe(), statistics: statistics))
  }
}

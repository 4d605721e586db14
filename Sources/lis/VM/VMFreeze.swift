// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMFreeze: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "freeze", abstract: "Freeze a guest's file systems, for a snapshot of its disks.",
    discussion: "Returns when they are frozen. The host thaws them by itself at the deadline, and says so in an event.")

  @OptionGroup var machine: MachineArgument
  @OptionGroup var format: FormatOption

  @Flag(help: "Only ask whether the guest can freeze.")
  var check = false

  @Option(help: ArgumentHelp("After this time the host thaws by itself, 1 to 600.", valueName: "seconds"))
  var deadline: Double = 60

  func validate() throws { try Timeouts.check(deadline, "--deadline", 1...600) }

  func perform() async throws(ControlError) {
    let status =
      check
      ? try await machine.client.checkSnapshot()
      : try await machine.client.freeze(FreezeRequest(deadlineSeconds: deadline))
    StandardOutput.write(format.rendering.snapshot(status))
  }
}

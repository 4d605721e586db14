// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMStop: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop", abstract: "Shut a machine's guest down, or switch the machine off.",
    discussion: "Returns when the machine is off. Without --force the guest's shutdown service must be ready.")

  @OptionGroup var machine: MachineArgument

  @Flag(help: "Switch off at once, without asking the guest.")
  var force = false

  @Option(help: ArgumentHelp("How long the guest may take, 1 to 3600.", valueName: "seconds"))
  var timeout: Double = 60

  func validate() throws { try Timeouts.check(timeout, "--timeout", 1...3600) }

  func perform() async throws(ControlError) {
    try await machine.client.stop(
      force ? StopRequest(mode: .turnOff) : StopRequest(mode: .shutdown, timeoutSeconds: timeout))
  }
}

enum Timeouts {
  static func check(_ seconds: Double, _ flag: String, _ range: ClosedRange<Double>) throws {
    guard range.contains(seconds) else {
      throw ValidationError(
        "\(flag) is \(seconds) seconds; use \(Int(range.lowerBound)) to \(Int(range.upperBound)).")
    }
  }
}

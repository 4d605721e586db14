// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct ServiceList: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the services, their state and negotiated versions.")

  @OptionGroup var machine: MachineArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.services(try await machine.client.services()))
  }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct ServiceDisable: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "disable", abstract: "Switch a service off: it is taken away from the guest.")

  @OptionGroup var machine: MachineArgument

  @Argument(help: "The service: heartbeat, shutdown, time, kvp, copy or snapshot.")
  var service: ServiceName

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.service(try await machine.client.setService(service, enabled: false)))
  }
}

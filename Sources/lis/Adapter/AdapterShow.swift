// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct AdapterShow: ControlCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show an adapter's addresses.")

  @OptionGroup var machine: MachineArgument

  @Argument(help: "The adapter's MAC address: Linux finds it by that when it is asked.")
  var adapter: String

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.addresses(try await machine.client.addresses(of: adapter)))
  }
}

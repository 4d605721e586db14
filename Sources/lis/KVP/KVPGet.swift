// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct KVPGet: ControlCommand {
  static let configuration = CommandConfiguration(commandName: "get", abstract: "Print one item's value.")

  @OptionGroup var machine: MachineArgument

  @Argument(help: "The key.")
  var key: String

  @Option(help: "external, guest, auto or host.")
  var pool: KeyValuePool = .external

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.item(try await machine.client.keyValueItem(key, in: pool)))
  }
}

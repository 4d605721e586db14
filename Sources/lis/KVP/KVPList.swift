// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct KVPList: ControlCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List the items of a pool.")

  @OptionGroup var machine: MachineArgument

  @Option(help: "external, guest, auto or host.")
  var pool: KeyValuePool = .auto

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.items(try await machine.client.keyValueItems(in: pool)))
  }
}

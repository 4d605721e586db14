// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct KVPDelete: ControlCommand {
  static let configuration = CommandConfiguration(commandName: "delete", abstract: "Remove an item.")

  @OptionGroup var machine: MachineArgument

  @Argument(help: "The key.")
  var key: String

  @Option(help: "external, guest, auto or host; a guest lets the host write into external.")
  var pool: KeyValuePool = .external

  func perform() async throws(ControlError) { try await machine.client.deleteKeyValueItem(key, in: pool) }
}

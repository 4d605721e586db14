// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct KVPSet: ControlCommand {
  static let configuration = CommandConfiguration(commandName: "set", abstract: "Add an item, or change its value.")

  @OptionGroup var machine: MachineArgument

  @Argument(help: "The key, up to 255 characters.")
  var key: String

  @Argument(help: "The value, up to 1023 characters.")
  var value: String

  @Option(help: "external, guest, auto or host; a guest lets the host write into external.")
  var pool: KeyValuePool = .external

  @Option(help: "string, u32 or u64.")
  var kind: KeyValueItem.Kind = .string

  func perform() async throws(ControlError) {
    try await machine.client.setKeyValueItem(KeyValueItem(pool: pool, key: key, value: value, kind: kind))
  }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct AdapterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adapter", abstract: "Addresses of a guest's network adapters, through its data exchange service.",
    subcommands: [AdapterShow.self, AdapterSet.self])
}

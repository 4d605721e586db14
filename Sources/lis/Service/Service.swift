// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct ServiceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service", abstract: "Integration services of a machine.",
    subcommands: [ServiceList.self, ServiceEnable.self, ServiceDisable.self])
}

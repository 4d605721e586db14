// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

/// The root of the command line: it only groups the nouns.
struct Lis: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lis",
    abstract: "Hyper-V's Linux integration services, both ends of the VMBus.",
    discussion: """
      A machine is started with `lis run` and lives as long as that process. The other commands talk to it by its \
      name, over the control socket that docs/openapi.yaml documents.

      EXIT CODES
      \(exitCodes)
      """,
    version: "swift-lis 0.2",
    subcommands: [
      Run.self, VMCommand.self, ServiceCommand.self, KVPCommand.self, AdapterCommand.self, EventsCommand.self,
      DiskCommand.self, SwitchCommand.self,
    ])

  private static var exitCodes: String {
    ExitStatus.allCases.map { status in
      let number = "\(status.rawValue)"
      return String(repeating: " ", count: max(0, 4 - number.count)) + "\(number)  \(status.meaning)"
    }.joined(separator: "\n")
  }
}

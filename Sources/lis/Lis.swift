// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct Lis: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lis", abstract: "Hyper-V's Linux integration services, both ends of the VMBus.",
    subcommands: [Run.self])
}

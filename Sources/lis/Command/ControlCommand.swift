// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

/// A command that ends in success or in a `ControlError`, which is printed once, here, and decides the exit code.
protocol ControlCommand: AsyncParsableCommand {
  func perform() async throws(ControlError)
}

extension ControlCommand {
  func run() async throws {
    do throws(ControlError) {
      try await perform()
    } catch {
      StandardError.report(error)
      throw ExitCode(error.code.exitCode.rawValue)
    }
  }
}

/// The machine a command is for.
struct MachineArgument: ParsableArguments {
  @Argument(help: ArgumentHelp("The machine's name.", valueName: "machine"))
  var name: MachineName

  var client: ControlClient { ControlClient(name) }
}

/// How a command prints.
struct FormatOption: ParsableArguments {
  @Option(help: "How to print: table, for people, or json.")
  var format: OutputFormat = .table

  var rendering: Rendering { Rendering(format, TextStyle(colour: StandardOutput.takesColour)) }
}

extension OutputFormat: ExpressibleByArgument {}
extension KeyValuePool: ExpressibleByArgument {}
extension KeyValueItem.Kind: ExpressibleByArgument {}
extension ServiceName: ExpressibleByArgument {}

extension MachineName: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

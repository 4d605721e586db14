// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMList: ControlCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List the machines that run.")

  @OptionGroup var format: FormatOption

  @Flag(name: [.short, .long], help: "Print names only.")
  var quiet = false

  /// A machine whose process was stopped must not hold up the list.
  private static let patience = Duration.seconds(2)

  func perform() async throws(ControlError) {
    let names = RuntimeDirectory.standard().runningMachines()
    if quiet {
      StandardOutput.write(names.map { "\($0)\n" }.joined())
      return
    }
    let summaries = await withTaskGroup(of: (Int, MachineSummary?).self) { group in
      for (index, name) in names.enumerated() { group.addTask { (index, await Self.summary(of: name)) } }
      var found: [(Int, MachineSummary?)] = []
      for await one in group { found.append(one) }
      return found.sorted { $0.0 < $1.0 }.compactMap(\.1)
    }
    StandardOutput.write(format.rendering.machines(summaries))
  }

  private static func summary(of name: MachineName) async -> MachineSummary? {
    var client = ControlClient(name)
    client.patience = patience
    do throws(ControlError) {
      return MachineSummary(try await client.describe())
    } catch {
      // Ended between the listing and the question, or starting and not listening yet.
      guard RuntimeDirectory.standard().isRunning(name) else { return nil }
      return MachineSummary(notAnswering: name)
    }
  }
}

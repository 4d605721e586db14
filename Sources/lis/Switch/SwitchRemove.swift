// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct SwitchRemove: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a virtual switch.",
    discussion: "Returns when it is gone. A switch with machines on it stays, unless --force is given.")

  @OptionGroup var target: SwitchArgument

  @Flag(help: "Remove it although machines are attached; their links go down.")
  var force = false

  func perform() async throws(ControlError) {
    try await SwitchClient(target.name).remove(force: force)
    for _ in 0..<500 where RuntimeDirectory.switches().isRunning(target.name) {
      try? await Task.sleep(for: .milliseconds(10))
    }
    guard !RuntimeDirectory.switches().isRunning(target.name) else {
      throw ControlError(.timedOut, "the switch \(target.name) does not end")
    }
  }
}

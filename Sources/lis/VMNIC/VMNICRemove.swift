// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMNICRemove: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a network adapter from a running machine.",
    discussion: "The guest loses the interface at once; a capture that runs is ended.")

  @OptionGroup var nic: NICArgument

  func perform() async throws(ControlError) { try await nic.machine.client.removeNIC(nic.name) }
}

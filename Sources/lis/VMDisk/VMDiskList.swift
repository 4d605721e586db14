// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMDiskList: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List a machine's disks and DVD drives.",
    discussion: "JSON has their counters, sector and block sizes, too.")

  @OptionGroup var machine: MachineArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.disks(try await machine.client.disks()))
  }
}

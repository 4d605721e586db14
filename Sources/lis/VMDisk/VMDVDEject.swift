// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMDVDEject: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "eject", abstract: "Eject the disc from a DVD drive of a running machine.",
    discussion: """
      A guest that has the disc mounted locks the drive: then it is only asked to eject, and the command ends with \
      \(ExitStatus.refused.rawValue).
      """)

  @OptionGroup var drive: DriveArgument

  @Flag(help: "Take the disc out even when the guest has locked the drive.")
  var force = false

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    let address = try await drive.address()
    StandardOutput.write(
      format.rendering.disk(try await drive.machine.client.ejectDisc(at: address, force: force)))
  }
}

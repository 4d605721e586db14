// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMDVDInsert: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "insert", abstract: "Insert a disc into an empty DVD drive of a running machine.",
    discussion: """
      EXAMPLES
        lis vm dvd insert web install.iso
        lis vm dvd insert web install.iso --drive 1:0
      """)

  @OptionGroup var drive: DriveArgument

  @Argument(help: ArgumentHelp("An ISO image.", valueName: "image"), completion: .file())
  var path: String

  @OptionGroup var disc: DiscOptions
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    let request = DiscRequest(path: FilePath.absolute(path), format: disc.diskFormat)
    let address = try await drive.address()
    StandardOutput.write(format.rendering.disk(try await drive.machine.client.insertDisc(request, at: address)))
  }
}

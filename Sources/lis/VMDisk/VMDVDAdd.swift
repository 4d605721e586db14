// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMDVDAdd: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a DVD drive to a running machine, empty or with a disc in it.",
    discussion: """
      EXAMPLES
        lis vm dvd add web
        lis vm dvd add web install.iso --controller 1
      """)

  @OptionGroup var machine: MachineArgument

  @Argument(help: ArgumentHelp("An ISO image.", valueName: "image"), completion: .file())
  var path: String?

  @OptionGroup var place: DiskPlaceOptions
  @OptionGroup var disc: DiscOptions
  @OptionGroup var format: FormatOption

  var request: DiskRequest {
    DiskRequest(
      kind: .dvd, path: path.map(FilePath.absolute), format: disc.diskFormat, controller: place.controller,
      lun: place.lun)
  }

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.disk(try await machine.client.addDisk(request)))
  }
}

struct DiscOptions: ParsableArguments {
  @Option(
    name: .customLong("disk-format"),
    help: ArgumentHelp("iso, for an image whose name says something else.", valueName: "format"))
  var diskFormat: DiskFormat?
}

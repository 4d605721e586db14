// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMDiskAdd: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a disk to a running machine.",
    discussion: """
      EXAMPLES
        lis disk create data.vhdx 10G && lis vm disk add web data.vhdx
        lis vm disk add web backup.vhd --read-only --controller 1 --lun 5
        lis vm disk add web disk.bin --disk-format raw --sector-size 4096
      """)

  @OptionGroup var machine: MachineArgument

  @Argument(help: ArgumentHelp("The image file.", valueName: "image"), completion: .file())
  var path: String

  @OptionGroup var place: DiskPlaceOptions

  @Option(
    name: .customLong("disk-format"),
    help: ArgumentHelp("The image's format: raw, vhd or vhdx (default: what its name says).", valueName: "format"))
  var diskFormat: DiskFormat?

  @Flag(help: "The guest may not write.")
  var readOnly = false

  @Flag(help: "Without a write cache: each write is durable when the guest is told that it is done.")
  var writeThrough = false

  @Option(help: ArgumentHelp("Bytes of a sector of a raw disk: 512 or 4096 (default: 512).", valueName: "size"))
  var sectorSize: SmallDiskSize?

  @OptionGroup var format: FormatOption

  func validate() throws {
    if let size = sectorSize?.byteCount, size != 512, size != 4096 {
      throw ValidationError("--sector-size is \(size); use 512 or 4096.")
    }
  }

  var request: DiskRequest {
    DiskRequest(
      kind: .disk, path: FilePath.absolute(path), format: diskFormat, controller: place.controller, lun: place.lun,
      readOnly: readOnly, writeCache: !writeThrough, sectorBytes: sectorSize?.byteCount)
  }

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.disk(try await machine.client.addDisk(request)))
  }
}

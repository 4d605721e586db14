// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualDisks

struct DiskCreate: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make a new, empty disk image.",
    discussion: """
      EXAMPLES
        lis disk create web.vhdx 40G
        lis disk create data.vhd 100G --kind fixed
        lis disk create test.vhdx --parent web.vhdx
      """)

  @Argument(help: ArgumentHelp("The new file.", valueName: "image"), completion: .file())
  var path: String

  @Argument(help: ArgumentHelp("The disk's size, such as 10G (default: the parent's).", valueName: "size"))
  var size: DiskSize?

  @Option(
    name: .customLong("disk-format"),
    help: ArgumentHelp("The format: raw, vhd or vhdx (default: what the name says).", valueName: "format"))
  var diskFormat: ImageFormat?

  @Option(help: "Make a differencing image over this one.", completion: .file())
  var parent: String?

  @OptionGroup var new: NewImageOptions
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    var creation = ImageCreation(path: path, byteCount: size?.byteCount)
    creation.format = diskFormat
    creation.kind = new.kind
    creation.blockByteCount = new.blockSize?.byteCount
    creation.sectorByteCount = new.sectorSize?.byteCount
    creation.physicalSectorByteCount = new.physicalSectorSize?.byteCount
    creation.parentPath = parent
    creation.preallocates = new.preallocate
    creation.overwrites = new.overwrite
    let order = creation
    let report = try await DiskWork.run { (_) throws(OperationError) in
      try order.perform()
      return try ImageReport(order.path, order.options)
    }
    StandardOutput.write(format.rendering.diskImage(DiskImageReport(report)))
  }
}

extension ImageCreation {
  var options: ImageChain.Options {
    var options = ImageChain.Options()
    options.format = format
    options.sectorByteCount = sectorByteCount ?? 512
    options.physicalSectorByteCount = physicalSectorByteCount
    return options
  }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualDisks

struct DiskConvert: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Copy a disk into a new image of another format or kind.",
    discussion: """
      A differencing image becomes one image together with its parents. Zeroes and holes take no space in the target, \
      unless it is preallocated.

      EXAMPLES
        lis disk convert cloud.img cloud.vhdx
        lis disk convert web.vhdx azure.vhd --kind fixed
      """)

  @OptionGroup var image: ImageArgument

  @Argument(help: ArgumentHelp("The new file.", valueName: "target"), completion: .file())
  var target: String

  @Option(
    help: ArgumentHelp("The target's format: raw, iso, vhd or vhdx (default: what its name says).", valueName: "format")
  )
  var targetFormat: ImageFormat?

  @OptionGroup var new: NewImageOptions
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    var conversion = ImageConversion(from: image.path, to: target)
    conversion.sourceOptions = image.options.chain
    conversion.format = targetFormat
    conversion.kind = new.kind
    conversion.blockByteCount = new.blockSize?.byteCount
    conversion.sectorByteCount = new.sectorSize?.byteCount
    conversion.physicalSectorByteCount = new.physicalSectorSize?.byteCount
    conversion.preallocates = new.preallocate
    conversion.overwrites = new.overwrite
    let order = conversion
    let report = try await DiskWork.run { (control) throws(OperationError) in
      try order.perform(control)
      var options = ImageChain.Options()
      options.format = order.format
      return try ImageReport(order.target, options)
    }
    StandardOutput.write(format.rendering.diskImage(DiskImageReport(report)))
  }
}

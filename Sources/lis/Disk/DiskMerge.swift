// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualDisks

struct DiskMerge: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Merge a differencing image into its parent.",
    discussion: """
      The merged image takes the parent's place when it is complete, and the child is removed. Other children of the same \
      parent cannot be used afterwards.
      """)

  @OptionGroup var image: ImageArgument

  @Flag(help: "Do not remove the child.")
  var keep = false

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    var merge = ImageMerge(image.path)
    merge.options = image.options.chain
    merge.keepsChild = keep
    let order = merge
    let report = try await DiskWork.run { (control) throws(OperationError) in
      var options = order.options
      options.format = try order.format()
      return try ImageReport(try order.perform(control), options)
    }
    StandardOutput.write(format.rendering.diskImage(DiskImageReport(report)))
  }
}

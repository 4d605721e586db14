// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualDisks

struct DiskCompact: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact", abstract: "Give the space of an image's zeroes back to the host.",
    discussion: """
      Run `fstrim` in the guest first, so that free space is zero. Dynamic and differencing images are written anew and \
      replaced when that is complete, which takes room for the data beside the old file.
      """)

  @OptionGroup var image: ImageArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    var compaction = ImageCompaction(image.path)
    compaction.options = image.options.chain
    let order = compaction
    let result = try await DiskWork.run { (control) throws(OperationError) in try order.perform(control) }
    StandardOutput.write(
      format.rendering.diskCompact(
        DiskCompactReport(
          path: image.path, allocatedBytesBefore: result.before, allocatedBytesAfter: result.after)))
  }
}

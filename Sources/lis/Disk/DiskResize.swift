// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualDisks

struct DiskResize: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize", abstract: "Make a disk larger or smaller.",
    discussion: """
      Shrink partitions and file systems in the guest first: a disk is not made smaller than its data unless --cut says \
      so. For the disk of a running machine use `lis vm disk resize`.
      """)

  @OptionGroup var image: ImageArgument

  @Argument(help: ArgumentHelp("The new size, such as 20G; +5G and -5G change the present one.", valueName: "size"))
  var size: SizeChange

  @Flag(help: "Lose the data beyond a smaller size.")
  var cut = false

  @OptionGroup var format: FormatOption

  /// An absolute size, or a difference.
  enum SizeChange: ExpressibleByArgument, Sendable {
    case to(UInt64)
    case plus(UInt64)
    case minus(UInt64)

    init?(argument: String) {
      let sign = argument.first
      guard let size = DiskSize(argument: sign == "+" || sign == "-" ? String(argument.dropFirst()) : argument) else {
        return nil
      }
      self = sign == "+" ? .plus(size.byteCount) : sign == "-" ? .minus(size.byteCount) : .to(size.byteCount)
    }
  }

  func perform() async throws(ControlError) {
    let (path, options, size, cut) = (image.path, image.options.chain, size, cut)
    let report = try await DiskWork.run { (_) throws(OperationError) in
      var resizing = ImageResizing(path, to: 0)
      resizing.options = options
      resizing.discardsData = cut
      switch size {
      case .to(let byteCount): resizing.byteCount = byteCount
      case .plus(let byteCount):
        let (sum, overflow) = try ImageReport(path, options).information.virtualByteCount
          .addingReportingOverflow(byteCount)
        resizing.byteCount = overflow ? .max / 4096 * 4096 : sum
      case .minus(let byteCount):
        let old = try ImageReport(path, options).information.virtualByteCount
        guard byteCount < old else {
          throw .refused("the disk has only \(old) bytes", remedy: "take less away")
        }
        resizing.byteCount = old - byteCount
      }
      try resizing.perform()
      return try ImageReport(path, options)
    }
    StandardOutput.write(format.rendering.diskImage(DiskImageReport(report)))
  }
}

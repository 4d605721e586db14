// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualDisks

struct DiskInfo: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "Show what an image is: format, sizes, sectors, parents.",
    discussion: "Works also while a machine uses the image.")

  @OptionGroup var image: ImageArgument
  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    let (path, options) = (image.path, image.options.chain)
    let report = try await DiskWork.run { (_) throws(OperationError) in try ImageReport(path, options) }
    StandardOutput.write(format.rendering.diskImage(DiskImageReport(report)))
  }
}

extension DiskImageReport {
  init(_ report: ImageReport) {
    let information = report.information
    self.init(
      path: report.path, format: information.format.rawValue, kind: information.kind.rawValue,
      sizeBytes: information.virtualByteCount, fileBytes: report.fileByteCount,
      allocatedBytes: report.allocatedByteCount, logicalSectorBytes: information.logicalSectorByteCount,
      physicalSectorBytes: information.physicalSectorByteCount, blockBytes: information.blockByteCount,
      diskIdentifier: report.identifierText, parents: report.parents,
      parentProblem: report.parentProblem?.description, discard: Self.discard(information), inUseBy: report.user,
      notes: report.notes.map(\.description))
  }

  private static func discard(_ information: ImageInformation) -> String {
    switch (information.format, information.kind) {
    case (.iso, _): "nothing to discard: read-only"
    case (.vhd, .dynamic): "gives space back inside the file; whole blocks are freed by `lis disk compact`"
    case (.vhd, .differencing): "gives no space back"
    case (.vhdx, .dynamic), (.vhdx, .differencing): "gives space back"
    default: "gives space back as holes in the file"
    }
  }
}

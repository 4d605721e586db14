// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMDiskResize: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize", abstract: "Make a disk of a running machine larger or smaller.",
    discussion: """
      The guest sees the new size at once. Before a disk is made smaller, its file systems must be: what the guest \
      still writes beyond the new end fails. A disk is not made smaller than the data in its image.

      EXAMPLES
        lis vm disk resize web 0:1 20G
        lis vm disk resize web 0:1 +5G
        lis vm disk resize web 0:1 -- -5G
      """)

  @OptionGroup var disk: DiskArgument

  @Argument(
    help: ArgumentHelp(
      "The new size, such as 20G; +5G and, behind --, -5G change the present one.", valueName: "size"))
  var size: DiskResize.SizeChange

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    let client = disk.machine.client
    let byteCount: UInt64
    if case .to(let size) = size {
      byteCount = size
    } else {
      guard let present = try await client.disks().first(where: { $0.address == disk.address }) else {
        throw ControlError.noDisk(at: disk.address)
      }
      byteCount = try size.applied(to: present.sizeBytes)
    }
    StandardOutput.write(format.rendering.disk(try await client.resizeDisk(at: disk.address, to: byteCount)))
  }
}

extension DiskResize.SizeChange {
  func applied(to present: UInt64) throws(ControlError) -> UInt64 {
    switch self {
    case .to(let size): return size
    case .plus(let difference):
      let (sum, overflow) = present.addingReportingOverflow(difference)
      guard !overflow else { throw ControlError(.badRequest, "no disk can be that large", remedy: "add less") }
      return sum
    case .minus(let difference):
      guard difference < present else {
        throw ControlError(.badRequest, "the disk has only \(present) bytes", remedy: "take less away")
      }
      return present - difference
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMDiskCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disk", abstract: "Disks of a running machine: list, add, remove, resize.",
    discussion: """
      A disk is named by its place: SCSI controller (0 to 3), colon, LUN (0 to 63), such as 0:1. The guest sees each \
      change at once. On the IDE controller it is \(IDEPlace.allCases.map(\.rawValue).joined(separator: ", ")); such \
      drives stay while the machine runs, and a disk is resized only while the guest uses its synthetic interface. \
      `lis help disk` is about image files that no machine uses.
      """,
    subcommands: [VMDiskList.self, VMDiskAdd.self, VMDiskRemove.self, VMDiskResize.self])
}

/// A machine and the place of a disk on it.
struct DiskArgument: ParsableArguments {
  @OptionGroup var machine: MachineArgument

  @Argument(help: ArgumentHelp("The disk's place, such as 0:1 or primary-master.", valueName: "place"))
  var address: DiskAddress
}

/// Where a new disk goes.
struct DiskPlaceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The SCSI controller, 0 to 3.", valueName: "number"),
    transform: { text throws in
      guard text != "ide", IDEPlace(rawValue: text) == nil else {
        throw ValidationError("IDE drives cannot be added to a running machine; use a SCSI controller.")
      }
      guard let number = Int(text) else { throw ValidationError("\"\(text)\" is not a number.") }
      return number
    })
  var controller: Int = 0

  @Option(help: ArgumentHelp("The LUN, 0 to 63 (default: the lowest free one).", valueName: "number"))
  var lun: Int?

  func validate() throws {
    guard DiskAddress.controllers.contains(controller) else {
      throw ValidationError("--controller is \(controller); use 0 to \(DiskAddress.controllers.upperBound).")
    }
    if let lun, !DiskAddress.luns.contains(lun) {
      throw ValidationError("--lun is \(lun); use 0 to \(DiskAddress.luns.upperBound).")
    }
  }
}

extension DiskFormat: ExpressibleByArgument {}

extension DiskAddress: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMDVDCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dvd", abstract: "DVD drives of a running machine: add a drive, insert and eject discs.",
    discussion: """
      Without --drive a disc goes into the machine's only drive, or comes out of it. `lis vm disk list` shows the \
      drives, and `lis vm disk remove` removes one.
      """,
    subcommands: [VMDVDAdd.self, VMDVDInsert.self, VMDVDEject.self])
}

/// A machine and one of its DVD drives.
struct DriveArgument: ParsableArguments {
  @OptionGroup var machine: MachineArgument

  @Option(
    help: ArgumentHelp(
      "The drive's place, such as 0:1 or secondary-master (default: the only DVD drive there is).", valueName: "place"))
  var drive: DiskAddress?

  func address() async throws(ControlError) -> DiskAddress {
    if let drive { return drive }
    let drives = try await machine.client.disks().filter { $0.kind == .dvd }.map(\.address)
    guard let only = drives.first else {
      throw ControlError(.notFound, "\(machine.name) has no DVD drive", remedy: "add one with `lis vm dvd add`")
    }
    guard drives.count == 1 else {
      let places = drives.map(\.description).joined(separator: ", ")
      throw ControlError(
        .badRequest, "\(machine.name) has several DVD drives: \(places)", remedy: "name one with --drive")
    }
    return only
  }
}

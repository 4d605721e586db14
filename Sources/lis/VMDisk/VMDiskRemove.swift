// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMDiskRemove: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a disk or DVD drive from a running machine.",
    discussion: """
      Unmount it in the guest first: what the guest has not written to the disk yet is lost. Requests under way end \
      before the image is closed; later ones fail.
      """)

  @OptionGroup var disk: DiskArgument

  func perform() async throws(ControlError) { try await disk.machine.client.removeDisk(at: disk.address) }
}

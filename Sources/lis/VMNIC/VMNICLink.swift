// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

struct VMNICLink: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "link", abstract: "Take the cable out of a network adapter, or put it back.",
    discussion: "The adapter keeps its TAP device, interface or user networking; a capture that runs is ended.")

  @OptionGroup var nic: NICArgument

  @Argument(help: "up or down.")
  var link: AttachedAdapter.Link

  @OptionGroup var format: FormatOption

  func perform() async throws(ControlError) {
    StandardOutput.write(format.rendering.nic(try await nic.machine.client.setLink(ofNIC: nic.name, link)))
  }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import VirtualMachine

struct VMNICCapture: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture", abstract: "Write what passes a network adapter to a pcapng file, for tcpdump or Wireshark.",
    discussion: """
      The capture shows frames as they pass the adapter's port of the switch, with their tags, also those from the guest \
      that are then dropped. It runs until --stop, or until the adapter is connected to something else or removed.

      EXAMPLES
        lis vm nic capture web nic0 web.pcapng
        lis vm nic capture web nic0 --stop
      """)

  @OptionGroup var nic: NICArgument

  @Argument(help: ArgumentHelp("The file to write.", valueName: "file"), completion: .file(extensions: ["pcapng"]))
  var path: String?

  @OptionGroup var capture: CaptureOptions
  @OptionGroup var format: FormatOption

  func validate() throws {
    guard capture.stop == (path == nil) else {
      throw ValidationError(capture.stop ? "With --stop no file is named." : "Name a file, or use --stop.")
    }
    guard !capture.stop || capture.snapLength == nil && !capture.overwrite else {
      throw ValidationError("--snap-length and --overwrite are for the start of a capture.")
    }
  }

  func perform() async throws(ControlError) {
    let client = nic.machine.client
    let answer: AdapterCapture
    if let path {
      let request = NICCaptureRequest(
        path: FilePath.absolute(path), snapLength: capture.snapLength, overwrite: capture.overwrite ? true : nil)
      answer = try await client.startCapture(ofNIC: nic.name, request)
    } else {
      answer = try await client.stopCapture(ofNIC: nic.name)
    }
    StandardOutput.write(format.rendering.capture(answer))
  }
}

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

  @Flag(help: "End the capture; when the command returns, the file is whole.")
  var stop = false

  @Option(help: ArgumentHelp("Bytes of each frame to keep, 64 to 262144 (default: all).", valueName: "bytes"))
  var snapLength: Int?

  @Flag(help: "Write over a file that exists.")
  var overwrite = false

  @OptionGroup var format: FormatOption

  func validate() throws {
    guard stop == (path == nil) else {
      throw ValidationError(stop ? "With --stop no file is named." : "Name a file, or use --stop.")
    }
    guard !stop || snapLength == nil && !overwrite else {
      throw ValidationError("--snap-length and --overwrite are for the start of a capture.")
    }
    if let snapLength, !NICCaptureRequest.snapLengths.contains(snapLength) {
      throw ValidationError("--snap-length is \(snapLength); use 64 to 262144.")
    }
  }

  func perform() async throws(ControlError) {
    let client = nic.machine.client
    let capture: AdapterCapture
    if let path {
      let request = NICCaptureRequest(
        path: FilePath.absolute(path), snapLength: snapLength, overwrite: overwrite ? true : nil)
      capture = try await client.startCapture(ofNIC: nic.name, request)
    } else {
      capture = try await client.stopCapture(ofNIC: nic.name)
    }
    StandardOutput.write(format.rendering.capture(capture))
  }
}

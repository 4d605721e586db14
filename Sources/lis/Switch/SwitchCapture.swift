// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import Glibc
import VirtualMachine

struct SwitchCaptureCommand: ControlCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture", abstract: "Write what passes ports of a virtual switch to a pcapng file.",
    discussion: """
      The capture shows frames as they pass each port, with their tags, also those that are then dropped. It runs until \
      --stop with the same file, or until the switch is removed.

      EXAMPLES
        lis switch capture lab all.pcapng
        lis switch capture lab web.pcapng --port web/nic0 --port uplink
        lis switch capture lab web.pcapng --stop
      """)

  @OptionGroup var target: SwitchArgument

  @Argument(help: ArgumentHelp("The file to write.", valueName: "file"), completion: .file(extensions: ["pcapng"]))
  var path: String

  @Option(name: .customLong("port"), help: ArgumentHelp("A port; may be repeated (default: all).", valueName: "port"))
  var ports: [String] = []

  @Flag(help: "End the capture; when the command returns, the file is whole.")
  var stop = false

  @Option(help: ArgumentHelp("Bytes of each frame to keep, 64 to 262144 (default: all).", valueName: "bytes"))
  var snapLength: Int?

  @Flag(help: "Write over a file that exists.")
  var overwrite = false

  @OptionGroup var format: FormatOption

  func validate() throws {
    guard !stop || snapLength == nil && !overwrite && ports.isEmpty else {
      throw ValidationError("--port, --snap-length and --overwrite are for the start of a capture.")
    }
    if let snapLength, !NICCaptureRequest.snapLengths.contains(snapLength) {
      throw ValidationError("--snap-length is \(snapLength); use 64 to 262144.")
    }
  }

  func perform() async throws(ControlError) {
    let client = SwitchClient(target.name)
    let file = FilePath.absolute(path)
    let capture: SwitchCapture
    if stop {
      capture = try await client.stopCapture(file)
    } else {
      guard unsafe overwrite || access(file, F_OK) != 0 else {
        throw ControlError(.alreadyExists, "\(file) exists", remedy: "use --overwrite, or name another file")
      }
      capture = try await client.startCapture(
        SwitchCaptureRequest(path: file, ports: ports.isEmpty ? nil : ports, snapLength: snapLength))
    }
    StandardOutput.write(format.rendering.capture(AdapterCapture(capture)))
  }
}

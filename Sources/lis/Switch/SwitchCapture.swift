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

  @OptionGroup var capture: CaptureOptions
  @OptionGroup var format: FormatOption

  func validate() throws {
    guard !capture.stop || capture.snapLength == nil && !capture.overwrite && ports.isEmpty else {
      throw ValidationError("--port, --snap-length and --overwrite are for the start of a capture.")
    }
  }

  func perform() async throws(ControlError) {
    let client = SwitchClient(target.name)
    let file = FilePath.absolute(path)
    let answer: SwitchCapture
    if capture.stop {
      answer = try await client.stopCapture(file)
    } else {
      guard unsafe capture.overwrite || access(file, F_OK) != 0 else {
        throw ControlError(.alreadyExists, "\(file) exists", remedy: "use --overwrite, or name another file")
      }
      answer = try await client.startCapture(
        SwitchCaptureRequest(path: file, ports: ports.isEmpty ? nil : ports, snapLength: capture.snapLength))
    }
    StandardOutput.write(format.rendering.capture(AdapterCapture(answer)))
  }
}

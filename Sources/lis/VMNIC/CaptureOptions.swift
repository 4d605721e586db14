// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI

/// What captures of an adapter and of a switch's ports have in common.
struct CaptureOptions: ParsableArguments {
  @Flag(help: "End the capture; when the command returns, the file is whole.")
  var stop = false

  @Option(help: ArgumentHelp("Bytes of each frame to keep, 64 to 262144 (default: all).", valueName: "bytes"))
  var snapLength: Int?

  @Flag(help: "Write over a file that exists.")
  var overwrite = false

  func validate() throws {
    if let snapLength, !NICCaptureRequest.snapLengths.contains(snapLength) {
      throw ValidationError("--snap-length is \(snapLength); use 64 to 262144.")
    }
  }
}

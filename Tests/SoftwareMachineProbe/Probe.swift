// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import SoftwareMachine

/// A program that is both ends of a software machine and nothing else: what the end-to-end tests run.
///
///     SoftwareMachineProbe [--socket PATH] ORDERS [FILE...]
///
/// The orders are a comma-separated list of what the inner end does, in order; see `InnerProbe`.
@main
struct Probe {
  static func main() async {
    if InnerMachine.isThisProcess {
      await InnerMachine.main(warm: { InnerProbe.warm() }, run: { InnerProbe($0).run() })
    }
    var arguments = CommandLine.arguments.dropFirst()
    var socket: String?
    if arguments.first == "--socket" {
      socket = arguments.dropFirst().first
      arguments = arguments.dropFirst(2)
    }
    let configuration = SoftwareMachine.Configuration(
      orders: Array((arguments.first ?? "").utf8), files: Array(arguments.dropFirst()), memoryBytes: 256 << 20,
      controlSocket: socket, progress: { message in say("probe: \(message)") })
    do {
      exit(try SoftwareMachine(configuration).run())
    } catch {
      say("probe: \(error)")
      exit(99)
    }
  }

  static func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import SoftwareMachine
import VirtualDisks

/// A program that is both ends of a software machine and nothing else: what the end-to-end tests run.
///
///     SoftwareMachineProbe [--socket PATH] [--image PATH]... ORDERS [FILE...]
///
/// An image may be opened by the inner end once. The orders are a comma-separated list of what the inner end
/// does, in order; see `InnerProbe`.
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
    let images = ImageGrants()
    while arguments.first == "--image", let path = arguments.dropFirst().first {
      var options = ImageChain.Options()
      options.format = ImageFormat(fileName: path) ?? .raw
      options.isWritable = true
      do {
        try images.open(path, options)
      } catch {
        // The inner end finds the same error then.
        images.allow(path, options)
      }
      arguments = arguments.dropFirst(2)
    }
    var configuration = SoftwareMachine.Configuration(
      orders: Array((arguments.first ?? "").utf8), files: Array(arguments.dropFirst()), memoryBytes: 256 << 20,
      controlSocket: socket, progress: { message in say("probe: \(message)") })
    configuration.images = images
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

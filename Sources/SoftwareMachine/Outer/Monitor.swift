// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The little of QEMU's monitor protocol (QMP) that saving a state takes: one command at a time, one line each.
struct Monitor {
  private let descriptor: Int32
  private var buffer: [UInt8] = []

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// Sends a command and returns its answer's line; nil: QEMU has gone, or is silent for a minute.
  mutating func execute(_ command: String) -> String? {
    guard (try? Stream.writeAll(descriptor, Array((command + "\n").utf8))) != nil else { return nil }
    while let line = nextLine() {
      if line.contains("\"return\"") || line.contains("\"error\"") { return line }
    }
    return nil
  }

  private mutating func nextLine() -> String? {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: buffer[..<end], as: UTF8.self)
        buffer.removeSubrange(...end)
        return line
      }
      var entry = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
      guard Stream.poll(&entry, milliseconds: 60_000), buffer.count < 1 << 20,
        case .bytes = Stream.read(descriptor, into: &buffer, limit: 65536)
      else { return nil }
    }
  }
}

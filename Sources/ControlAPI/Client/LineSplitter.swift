// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Cuts a stream of bytes into lines, whatever pieces it comes in.
final class LineSplitter: Sendable {
  private let partial = Mutex<[UInt8]>([])

  func push(_ bytes: [UInt8]) -> [[UInt8]] {
    partial.withLock { partial in
      var lines: [[UInt8]] = []
      for byte in bytes {
        if byte == 0x0a {
          lines.append(partial)
          partial = []
        } else {
          partial.append(byte)
        }
      }
      return lines
    }
  }
}

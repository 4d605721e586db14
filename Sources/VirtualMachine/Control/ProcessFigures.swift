// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What this process holds of the host's: a leak shows as a figure that grows from one reset of the guest to the next.
enum ProcessFigures {
  /// `host.threads`, `host.descriptors`, and in KiB `host.resident` (with the touched part of the guest's memory) and
  /// `host.data` (private address space: the whole of the guest's memory and the heap). Linux's /proc, proc(5).
  static func current() -> [String: UInt64] {
    var figures: [String: UInt64] = [:]
    var tableSize: UInt64 = 0
    for line in status().split(separator: "\n") {
      let words = line.split { $0 == " " || $0 == "\t" }
      guard words.count >= 2, let value = UInt64(words[1]) else { continue }
      switch words[0] {
      case "Threads:": figures["host.threads"] = value
      case "VmRSS:": figures["host.resident"] = value
      case "VmData:": figures["host.data"] = value
      case "FDSize:": tableSize = value
      default: break
      }
    }
    let open = (0..<Int32(clamping: tableSize)).count { fcntl($0, F_GETFD) >= 0 }
    figures["host.descriptors"] = UInt64(open)
    return figures
  }

  private static func status() -> String {
    let file = unsafe open("/proc/self/status", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    // It has some 1.5 KiB, in one read.
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
  }
}

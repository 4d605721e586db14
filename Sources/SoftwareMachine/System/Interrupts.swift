// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// SIGINT, SIGTERM and SIGHUP as bytes in a pipe while the software machine runs; afterwards whoever had them before has
/// them again.
final class Interrupts: Sendable {
  /// Readable when a signal has come.
  let descriptor: Int32
  private let writeEnd: Int32

  init() throws(SystemError) {
    let pipe = try Descriptor.pipe()
    let (read, write) = (dup(pipe.first.number), dup(pipe.second.number))
    for end in [read, write] {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      Stream.setNonblocking(end)
    }
    (descriptor, writeEnd) = (read, write)
    clinux_catch_signals(write)
  }

  deinit {
    clinux_restore_signals(writeEnd)
    close(descriptor)
    close(writeEnd)
  }

  /// The next signal that came, if any.
  func pending() -> Int32? {
    var bytes: [UInt8] = []
    guard case .bytes = Stream.read(descriptor, into: &bytes, limit: 1) else { return nil }
    return Int32(bytes[0])
  }
}

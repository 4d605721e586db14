// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc

/// Standard output, written at once: a reader of a pipe sees each line when it happens.
enum StandardOutput {
  static func write(_ text: String) { write(Array(text.utf8)) }

  static func write(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(1, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN {
        var waiting = pollfd(fd: 1, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&waiting, 1, 1000)
        continue
      }
      // A closed pipe or a full disk: nobody reads any more, and there is nobody to tell.
      guard count > 0 else { exit(ExitStatus.hostFailure.rawValue) }
      rest = rest.dropFirst(count)
    }
  }

  /// Colour is for terminals whose owner did not refuse it (https://no-color.org).
  static var takesColour: Bool { unsafe isatty(1) == 1 && getenv("NO_COLOR") == nil }
}

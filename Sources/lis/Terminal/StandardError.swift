// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import Synchronization

/// Lines for people, on standard error.
enum StandardError {
  /// Whether people read it on a terminal. Inside the software machine that is known outside.
  static let isTerminal = Atomic(isatty(2) == 1)

  /// `lis: …`. The carriage return matters while the terminal is raw, and only there.
  static func line(_ text: String) {
    let end = isTerminal.load(ordering: .relaxed) ? "\r\n" : "\n"
    var bytes = Array("lis: \(text)\(end)".utf8)
    _ = unsafe write(2, &bytes, bytes.count)
  }

  /// An error and its remedy.
  static func report(_ error: ControlError) {
    line(error.remedy.map { "\(error.message); \($0)" } ?? error.message)
  }

  /// As it is.
  static func raw(_ text: String) {
    var bytes = Array(text.utf8)
    _ = unsafe write(2, &bytes, bytes.count)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A system call that failed: which, on what, and errno.
struct SystemError: Error, Equatable, CustomStringConvertible {
  let call: String
  let subject: String
  let error: Int32

  /// Takes errno as it is now.
  init(_ call: String, _ subject: String = "", error: Int32 = errno) {
    self.call = call
    self.subject = subject
    self.error = error
  }

  var description: String {
    "\(call)\(subject.isEmpty ? "" : " \(subject)"): \(SystemFiles.message(error))"
  }
}

// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A system call that failed: which, on what, and errno.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
  public let call: String
  public let subject: String
  public let error: Int32

  /// Takes errno as it is now.
  public init(_ call: String, _ subject: String = "", error: Int32 = errno) {
    self.call = call
    self.subject = subject
    self.error = error
  }

  public var description: String {
    "\(call)\(subject.isEmpty ? "" : " \(subject)"): \(Self.message(error))"
  }

  /// What people say for an errno.
  public static func message(_ error: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    unsafe clinux_error_text(error, &buffer, buffer.count)
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// A file that the user named, opened for reading: says in words what is wrong with it.
struct FileProbe: ~Copyable {
  let path: String
  private let descriptor: Int32
  let byteCount: UInt64

  /// `what`: "the kernel", for the message.
  init(_ path: String, what: String) throws(ConfigurationError) {
    self.path = path
    // A pipe or device must not hold us up in open.
    let opened = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard opened >= 0 else {
      let reason = SystemError.message(errno)
      throw ConfigurationError(
        source: nil, "\(what) \(path) cannot be opened: \(reason)", remedy: "check the path and its permissions",
        isInput: true)
    }
    var status = stat()
    let isRegular = unsafe fstat(opened, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    guard isRegular, status.st_size > 0 else {
      close(opened)
      throw ConfigurationError(
        source: nil, "\(what) \(path) \(isRegular ? "is empty" : "is not a file")", remedy: "name a file", isInput: true
      )
    }
    descriptor = opened
    byteCount = UInt64(status.st_size)
  }

  deinit { close(descriptor) }

  func contents(maximum: Int) throws(ConfigurationError) -> [UInt8] {
    guard byteCount <= UInt64(maximum) else {
      throw ConfigurationError(source: path, "the file is larger than \(maximum) bytes", remedy: "name a YAML file")
    }
    var bytes = [UInt8](repeating: 0, count: Int(byteCount))
    var filled = 0
    while filled < bytes.count {
      let count = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe Glibc.read(descriptor, buffer.baseAddress.map { unsafe $0 + filled }, buffer.count - filled)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      filled += count
    }
    return Array(bytes.prefix(filled))
  }
}

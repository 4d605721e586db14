// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// A file that the user named, opened for reading: says in words what is wrong with it.
struct FileProbe: ~Copyable {
  let path: String
  private let descriptor: Int32
  /// 0 for a block device.
  let byteCount: UInt64
  let identity: Identity

  /// Which file it is, whatever it is called.
  struct Identity: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  /// What the file is to be.
  enum Use {
    /// Read as a whole.
    case content
    /// A disk: may be a block device, too.
    case disk(isWritable: Bool)
  }

  /// `what`: "the kernel", for the message.
  init(_ path: String, what: String, for use: Use = .content) throws(ConfigurationError) {
    self.path = path
    // A pipe or device must not hold us up in open.
    var mode = O_RDONLY
    var isDisk = false
    if case .disk(let isWritable) = use {
      mode = isWritable ? O_RDWR : O_RDONLY
      isDisk = true
    }
    let opened = unsafe open(path, mode | O_CLOEXEC | O_NONBLOCK)
    guard opened >= 0 else {
      let code = errno
      let isReadable = unsafe mode == O_RDWR && code != ENOENT && access(path, R_OK) == 0
      throw ConfigurationError(
        source: nil,
        "\(what) \(path) cannot be opened\(isReadable ? " for writing" : ""): \(SystemError.message(code))",
        remedy: "check the path and its permissions\(isReadable ? ", or attach it read-only" : "")", isInput: true)
    }
    var status = stat()
    let type = unsafe fstat(opened, &status) == 0 ? status.st_mode & S_IFMT : 0
    let isBlockDevice = isDisk && type == S_IFBLK
    guard isBlockDevice || type == S_IFREG && status.st_size > 0 else {
      close(opened)
      throw ConfigurationError(
        source: nil, "\(what) \(path) \(type == S_IFREG ? "is empty" : "is not a file")", remedy: "name a file",
        isInput: true)
    }
    descriptor = opened
    byteCount = isBlockDevice ? 0 : UInt64(status.st_size)
    identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
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

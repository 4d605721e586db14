// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// What stat says, as far as we need it.
struct FileStatus: Equatable {
  let size: Int
  let isRegular: Bool
  let isDirectory: Bool
  let device: UInt64
  let inode: UInt64
  let modified: Int64  // ns since 1970

  init(_ descriptor: Int32, _ subject: String) throws(SystemError) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw SystemError("stat", subject) }
    self.init(status)
  }

  init(at path: String) throws(SystemError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { throw SystemError("stat", path) }
    self.init(status)
  }

  private init(_ status: stat) {
    size = Int(status.st_size)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    isDirectory = status.st_mode & S_IFMT == S_IFDIR
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    modified = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc

extension Descriptor {
  /// A UNIX stream socket that listens at `path`, for this user only, without blocking. The name stays when the descriptor
  /// is closed. One that is there already is taken for a dead process's: the caller holds the lock that says so.
  public static func listening(at path: String) throws(SystemError) -> Descriptor {
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw SystemError("socket") }
    let descriptor = Descriptor(owning: number)
    _ = unsafe unlink(path)
    let old = umask(0o177)
    defer { umask(old) }
    let bound = try unsafe SocketAddress.with(path) { unsafe bind(number, $0, $1) }
    guard bound == 0 else { throw SystemError("bind", path) }
    guard listen(number, 256) == 0 else { throw SystemError("listen", path) }
    Stream.setNonblocking(number)
    return descriptor
  }
}

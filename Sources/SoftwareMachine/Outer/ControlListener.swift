// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The outer end of the control API: a listening UNIX socket, removed at the end of its life.
struct ControlListener: ~Copyable {
  let descriptor: Descriptor
  private let path: String

  init(at path: String) throws(SystemError) {
    descriptor = try Self.listening(at: path)
    self.path = path
  }

  private static func listening(at path: String) throws(SystemError) -> Descriptor {
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw SystemError("socket") }
    let descriptor = Descriptor(owning: number)
    // Whoever calls us holds the virtual machine's lock: a socket that is there is a dead one's.
    _ = unsafe unlink(path)
    let old = umask(0o177)
    defer { umask(old) }
    let bound = try unsafe SocketAddress.with(path) { unsafe bind(number, $0, $1) }
    guard bound == 0 else { throw SystemError("bind", path) }
    guard listen(number, 64) == 0 else { throw SystemError("listen", path) }
    Stream.setNonblocking(number)
    return descriptor
  }

  deinit { _ = unsafe unlink(path) }
}

/// A UNIX socket's address for the calls that take one.
enum SocketAddress {
  static func with<R>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
  ) throws(SystemError) -> R {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard bytes.count < room else { throw SystemError("use the socket", path, error: ENAMETOOLONG) }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    return unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}

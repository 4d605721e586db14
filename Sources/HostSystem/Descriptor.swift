// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A file descriptor with exactly one owner, closed at the end of its life.
public struct Descriptor: ~Copyable, Sendable {
  public let number: Int32

  public init(owning number: Int32) { self.number = number }

  deinit { _ = Glibc.close(number) }

  /// Gives the number away; the receiver closes it.
  public consuming func take() -> Int32 {
    let result = number
    discard self
    return result
  }

  /// Opens a file, close-on-exec.
  public static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(SystemError) -> Descriptor {
    while true {
      let number = unsafe Glibc.open(path, flags | O_CLOEXEC, mode)
      if number >= 0 { return Descriptor(owning: number) }
      if errno != EINTR { throw SystemError("open", path) }
    }
  }

  /// A connected pair of stream sockets, both close-on-exec.
  public static func socketPair() throws(SystemError) -> DescriptorPair {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw SystemError("socketpair") }
    return DescriptorPair(first: Descriptor(owning: pair[0]), second: Descriptor(owning: pair[1]))
  }

  /// A pipe's read and write end, both close-on-exec.
  public static func pipe() throws(SystemError) -> DescriptorPair {
    var pair: [Int32] = [-1, -1]
    guard unsafe Glibc.pipe(&pair) == 0 else { throw SystemError("pipe") }
    for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return DescriptorPair(first: Descriptor(owning: pair[0]), second: Descriptor(owning: pair[1]))
  }
}

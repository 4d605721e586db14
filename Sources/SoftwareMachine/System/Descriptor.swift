// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A file descriptor with exactly one owner, closed at the end of its life.
struct Descriptor: ~Copyable {
  let number: Int32

  init(owning number: Int32) { self.number = number }

  deinit { _ = Glibc.close(number) }

  /// Gives the number away; the receiver closes it.
  consuming func take() -> Int32 {
    let result = number
    discard self
    return result
  }

  /// Opens a file, close-on-exec.
  static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(SystemError) -> Descriptor {
    while true {
      let number = unsafe Glibc.open(path, flags | O_CLOEXEC, mode)
      if number >= 0 { return Descriptor(owning: number) }
      if errno != EINTR { throw SystemError("open", path) }
    }
  }

  /// A connected pair of stream sockets, both close-on-exec.
  static func socketPair() throws(SystemError) -> DescriptorPair {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw SystemError("socketpair") }
    return DescriptorPair(first: Descriptor(owning: pair[0]), second: Descriptor(owning: pair[1]))
  }

  /// A pipe's read and write end, both close-on-exec.
  static func pipe() throws(SystemError) -> DescriptorPair {
    var pair: [Int32] = [-1, -1]
    guard unsafe Glibc.pipe(&pair) == 0 else { throw SystemError("pipe") }
    for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return DescriptorPair(first: Descriptor(owning: pair[0]), second: Descriptor(owning: pair[1]))
  }
}

/// Two ends of one thing. Of a pipe the first is the one to read.
struct DescriptorPair: ~Copyable {
  let first: Descriptor
  let second: Descriptor
}

/// Reads and writes on plain descriptor numbers, as an event loop keeps them in tables.
enum Stream {
  /// What a read or write gave.
  enum Outcome: Equatable {
    case bytes(Int)
    case end
    /// Nothing now: wait in poll.
    case wait
    case failed(Int32)
  }

  /// Appends up to `limit` bytes to `buffer`.
  static func read(_ descriptor: Int32, into buffer: inout [UInt8], limit: Int) -> Outcome {
    var outcome = Outcome.wait
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { room, count in
      outcome = unsafe result(Glibc.read(descriptor, room.baseAddress, room.count))
      if case .bytes(let got) = outcome { count = got }
    }
    guard case .bytes = outcome else { return outcome }
    if bytes.isEmpty { return .end }
    if buffer.isEmpty { buffer = bytes } else { buffer += bytes }
    return outcome
  }

  /// Writes the front of `bytes`, at most `limit` of them.
  static func write(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>, limit: Int = .max) -> Outcome {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe result(Glibc.write(descriptor, bytes.baseAddress, min(limit, bytes.count)))
    }
  }

  /// Writes all of `bytes` to a blocking descriptor.
  static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      switch write(descriptor, rest, limit: 1 << 20) {
      case .bytes(let count): rest = rest.dropFirst(count)
      case .wait: continue
      case .end: throw SystemError("write", error: EPIPE)
      case .failed(let error): throw SystemError("write", error: error)
      }
    }
  }

  private static func result(_ count: Int) -> Outcome {
    if count >= 0 { return .bytes(count) }
    let error = errno
    return error == EAGAIN || error == EINTR ? .wait : .failed(error)
  }

  static func setNonblocking(_ descriptor: Int32) {
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
  }

  /// Waits until one of `entries` is ready; true: some are.
  static func poll(_ entries: inout [pollfd], milliseconds: Int32) -> Bool {
    let count = unsafe Glibc.poll(&entries, nfds_t(entries.count), milliseconds)
    if count <= 0 { for index in entries.indices { entries[index].revents = 0 } }
    return count > 0
  }
}

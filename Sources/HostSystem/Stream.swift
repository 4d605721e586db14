// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Reads and writes on plain descriptor numbers, as an event loop keeps them in tables.
public enum Stream {
  /// What a read or write gave.
  public enum Outcome: Equatable, Sendable {
    case bytes(Int)
    case end
    /// Nothing now: wait in poll.
    case wait
    case failed(Int32)
  }

  /// Appends up to `limit` bytes to `buffer`.
  public static func read(_ descriptor: Int32, into buffer: inout [UInt8], limit: Int) -> Outcome {
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

  /// Waits for bytes on a blocking descriptor and appends up to `limit` of them; false: no more will come.
  public static func readMore(_ descriptor: Int32, into buffer: inout [UInt8], limit: Int) -> Bool {
    while true {
      switch read(descriptor, into: &buffer, limit: limit) {
      case .bytes: return true
      case .wait: continue
      case .end, .failed: return false
      }
    }
  }

  /// Writes the front of `bytes`, at most `limit` of them.
  public static func write(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>, limit: Int = .max) -> Outcome {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe result(Glibc.write(descriptor, bytes.baseAddress, min(limit, bytes.count)))
    }
  }

  /// Writes all of `bytes` to a blocking descriptor.
  public static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
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

  public static func setNonblocking(_ descriptor: Int32) {
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
  }

  /// Waits until one of `entries` is ready; true: some are.
  public static func poll(_ entries: inout [pollfd], milliseconds: Int32) -> Bool {
    let count = unsafe Glibc.poll(&entries, nfds_t(entries.count), milliseconds)
    if count <= 0 { for index in entries.indices { entries[index].revents = 0 } }
    return count > 0
  }
}

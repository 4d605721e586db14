// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A file descriptor with one owner, closed when that ends.
struct Descriptor: ~Copyable, Sendable {
  let raw: Int32

  init(owning raw: Int32) { self.raw = raw }
  deinit { close(raw) }

  static func event() throws(PartitionError) -> Descriptor {
    let raw = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard raw >= 0 else { throw .system(operation: "making an eventfd", errno: errno) }
    return Descriptor(owning: raw)
  }

  /// Adds one to an eventfd. Never blocks: a counter that is full is as good as one more.
  func signal() {
    var one: UInt64 = 1
    _ = unsafe withUnsafePointer(to: &one) { unsafe Glibc.write(raw, $0, 8) }
  }

  /// Sets an eventfd back to 0.
  func drain() {
    var value: UInt64 = 0
    _ = unsafe withUnsafeMutablePointer(to: &value) { unsafe Glibc.read(raw, $0, 8) }
  }

  /// Blocks until an eventfd is not 0, then sets it back.
  func wait() {
    var poll = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
    _ = unsafe Glibc.poll(&poll, 1, -1)
    drain()
  }

  /// ioctl(2). `operation` says for people what it was to achieve.
  @discardableResult
  func control(_ request: UInt, _ argument: UInt = 0, _ operation: @autoclosure () -> String) throws(PartitionError)
    -> Int
  {
    let result = clinux_ioctl(raw, request, argument)
    guard result >= 0 else { throw .system(operation: operation(), errno: Int32(-result)) }
    return result
  }

  /// ioctl(2) with the address of a structure that the kernel reads, or fills, or both.
  @discardableResult
  func control<T>(
    _ request: UInt, with value: inout T, _ operation: @autoclosure () -> String
  ) throws(PartitionError) -> Int {
    let result = unsafe withUnsafeMutablePointer(to: &value) {
      clinux_ioctl(raw, request, UInt(bitPattern: $0))
    }
    guard result >= 0 else { throw .system(operation: operation(), errno: Int32(-result)) }
    return result
  }

  /// ioctl(2) with a structure that ends in a table, laid out in `words`.
  @discardableResult
  func control(
    _ request: UInt, words: inout [UInt64], _ operation: @autoclosure () -> String
  ) throws(PartitionError) -> Int {
    let result = unsafe words.withUnsafeMutableBytes { clinux_ioctl(raw, request, UInt(bitPattern: $0.baseAddress)) }
    guard result >= 0 else { throw .system(operation: operation(), errno: Int32(-result)) }
    return result
  }
}

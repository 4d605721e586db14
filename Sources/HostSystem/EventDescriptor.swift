// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// An eventfd(2): a counter that a thread, KVM or io_uring sleeps on. Any thread may call it.
public struct EventDescriptor: ~Copyable, Sendable {
  private let descriptor: Descriptor

  /// `blocking`: for io_uring, whose reads of a non-blocking one do not wait. `drain` waits then, too.
  public init(blocking: Bool = false) throws(SystemError) {
    let number = eventfd(0, Int32(blocking ? EFD_CLOEXEC : EFD_CLOEXEC | EFD_NONBLOCK))
    guard number >= 0 else { throw SystemError("eventfd") }
    descriptor = Descriptor(owning: number)
  }

  public var number: Int32 { descriptor.number }

  /// Adds one. Never blocks: a counter that is full is as good as one more.
  public func signal() { Self.signal(number) }

  /// `signal` for an eventfd that somebody else owns.
  public static func signal(_ number: Int32) {
    var one: UInt64 = 1
    _ = unsafe withUnsafePointer(to: &one) { unsafe Glibc.write(number, $0, 8) }
  }

  /// Sets the counter back to 0.
  public func drain() { Self.drain(number) }

  /// `drain` for an eventfd that somebody else owns.
  public static func drain(_ number: Int32) {
    var value: UInt64 = 0
    _ = unsafe withUnsafeMutablePointer(to: &value) { unsafe Glibc.read(number, $0, 8) }
  }

  /// Blocks until the counter is not 0, then sets it back.
  public func wait() {
    var poll = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    _ = unsafe Glibc.poll(&poll, 1, -1)
    drain()
  }

  /// The same, for that many nanoseconds at most, rounded up to milliseconds.
  public func wait(nanoseconds: UInt64) {
    var poll = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    let milliseconds = nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1)
    _ = unsafe Glibc.poll(&poll, 1, Int32(clamping: milliseconds))
    drain()
  }
}

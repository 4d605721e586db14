// SPDX-License-Identifier: Apache-2.0

import CLinux
import Synchronization

/// A value that a few threads read all the time and that seldom changes, with something of its own for each of them.
/// Readers do not meet: each has a lock, and who changes the value takes all of them. A waiting writer goes before its
/// readers, so a reader must neither read again nor write within `read`.
///
/// The locks are what makes it sendable: value and owns are reachable in no other way.
@safe final class ReaderLocked<Value: ~Copyable, Own>: @unchecked Sendable {
  /// One thread at a time reads with it. It counts as a reader until `leave`.
  @safe final class Reader: @unchecked Sendable {
    /// Two readers that are there at once have different numbers, the lowest ones that are free.
    let number: Int
    fileprivate let lock: OpaquePointer
    /// Memory of its own, so that what a reader writes is in nobody's way.
    fileprivate let own: UnsafeMutablePointer<Own>
    fileprivate let isGone = Atomic(false)

    fileprivate init(_ number: Int, _ own: sending Own) {
      self.number = number
      unsafe lock = clinux_rwlock_create()
      unsafe self.own = .allocate(capacity: 1)
      unsafe self.own.initialize(to: own)
    }

    deinit {
      unsafe own.deinitialize(count: 1)
      unsafe own.deallocate()
      unsafe clinux_rwlock_destroy(lock)
    }

    func leave() { isGone.store(true, ordering: .releasing) }
  }

  /// What all readers have of their own, while the value changes.
  struct Owns: ~Escapable {
    fileprivate let readers: [Reader]

    @_lifetime(immortal)
    fileprivate init(_ readers: [Reader]) { self.readers = readers }

    func forEach(_ body: (inout Own) -> Void) {
      for reader in readers { unsafe body(&reader.own.pointee) }
    }
  }

  /// Taken before any reader's lock; enough for looking at the value.
  private let gate: OpaquePointer
  private let value: UnsafeMutablePointer<Value>
  private var readers: [Reader] = []
  /// Takes in what a reader that left had of its own.
  private let retire: @Sendable (inout Value, Own) -> Void

  init(_ value: consuming sending Value, retire: @escaping @Sendable (inout Value, Own) -> Void) {
    unsafe gate = clinux_rwlock_create()
    unsafe self.value = .allocate(capacity: 1)
    unsafe self.value.initialize(to: value)
    self.retire = retire
  }

  deinit {
    unsafe value.deinitialize(count: 1)
    unsafe value.deallocate()
    unsafe clinux_rwlock_destroy(gate)
  }

  func makeReader(_ own: sending Own) -> Reader {
    unsafe clinux_rwlock_write(gate)
    defer { unsafe clinux_rwlock_unlock(gate) }
    var number = 0
    while readers.contains(where: { $0.number == number }) { number += 1 }
    let reader = Reader(number, own)
    readers.append(reader)
    return reader
  }

  /// For whoever reads all the time.
  @inline(__always)
  func read<Result>(_ reader: Reader, _ body: (borrowing Value, inout Own) -> Result) -> Result {
    unsafe clinux_rwlock_read(reader.lock)
    defer { unsafe clinux_rwlock_unlock(reader.lock) }
    return unsafe body(value.pointee, &reader.own.pointee)
  }

  /// For whoever looks at it now and then.
  func read<Result>(_ body: (borrowing Value) -> Result) -> Result {
    unsafe clinux_rwlock_read(gate)
    defer { unsafe clinux_rwlock_unlock(gate) }
    return unsafe body(value.pointee)
  }

  func write<Result, Failure: Error>(
    _ body: (inout Value, borrowing Owns) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe clinux_rwlock_write(gate)
    defer { unsafe clinux_rwlock_unlock(gate) }
    let all = readers
    for reader in all { unsafe clinux_rwlock_write(reader.lock) }
    defer { for reader in all { unsafe clinux_rwlock_unlock(reader.lock) } }
    if all.contains(where: { $0.isGone.load(ordering: .acquiring) }) { forgetGone() }
    return try unsafe body(&value.pointee, Owns(readers))
  }

  private func forgetGone() {
    readers.removeAll { reader in
      guard reader.isGone.load(ordering: .acquiring) else { return false }
      unsafe retire(&value.pointee, reader.own.pointee)
      return true
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import CLinux

/// A value that many threads read at once and few change. A waiting writer goes before new readers, so a reader must not
/// read again within `read`.
///
/// The lock is what makes it sendable; the value is reachable in no other way.
@safe final class ReadWriteLocked<Value>: @unchecked Sendable {
  private let lock: OpaquePointer
  private var value: Value

  init(_ value: sending Value) {
    unsafe lock = clinux_rwlock_create()
    self.value = value
  }

  deinit { unsafe clinux_rwlock_destroy(lock) }

  func read<Result>(_ body: (borrowing Value) -> Result) -> Result {
    unsafe clinux_rwlock_read(lock)
    defer { unsafe clinux_rwlock_unlock(lock) }
    return body(value)
  }

  func write<Result, Failure: Error>(_ body: (inout Value) throws(Failure) -> Result) throws(Failure) -> Result {
    unsafe clinux_rwlock_write(lock)
    defer { unsafe clinux_rwlock_unlock(lock) }
    return try body(&value)
  }
}

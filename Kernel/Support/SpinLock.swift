// SPDX-License-Identifier: Apache-2.0

import CKernel

/// A spin lock, held with interrupts off. Any context. A trap below `withLock` gives it back. Locks that sleep are
/// taken by C around the guarded call.
@safe
public struct SpinLock: ~Copyable {
  private let lock: OpaquePointer

  /// `nil`: no memory.
  public init?() {
    guard let lock = unsafe ks_lock_make() else { return nil }
    unsafe self.lock = unsafe lock
  }

  @inline(__always)
  public borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe ks_lock_take(lock)
    defer { unsafe ks_lock_give(lock) }
    return try body()
  }

  deinit { unsafe ks_lock_free(lock) }
}

// SPDX-License-Identifier: Apache-2.0

import CKernel

/// Something that is waited for. Signalling is possible in any context, waiting where sleeping is.
@safe
public struct Completion: ~Copyable {
  private let completion: OpaquePointer

  /// `nil`: no memory.
  public init?() {
    guard let completion = unsafe ks_completion_make() else { return nil }
    unsafe self.completion = unsafe completion
  }

  /// Wakes one that waits, now or later.
  public borrowing func signal() { unsafe ks_completion_signal(completion) }
  /// Wakes all that wait, now or until `reset`.
  public borrowing func signalAll() { unsafe ks_completion_signal_all(completion) }
  public borrowing func reset() { unsafe ks_completion_reset(completion) }
  public borrowing func wait() { unsafe ks_completion_wait(completion) }

  /// False: the time ran out. 0 only looks, in any context.
  public borrowing func wait(milliseconds: UInt32) -> Bool { unsafe ks_completion_wait_for(completion, milliseconds) }

  deinit { unsafe ks_completion_free(completion) }
}

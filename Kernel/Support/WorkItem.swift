// SPDX-License-Identifier: Apache-2.0

import CKernel

/// A function that a thread of the kernel runs, now or after a while; never twice at once. It is called guarded: after
/// a trap, `trapped` is called in its place. Its end waits until the function does not run any more, so it must not be
/// ended by that function.
@safe
public struct WorkItem: ~Copyable {
  private let work: OpaquePointer

  /// The functions are closures without captures; `context` is valid as long as this value. `nil`: no memory.
  public init?(
    context: UnsafeMutableRawPointer?, run: @convention(c) (UnsafeMutableRawPointer?) -> Void,
    trapped: (@convention(c) (UnsafeMutableRawPointer?) -> Void)? = nil
  ) {
    guard let work = unsafe ks_work_make(run, trapped, context) else { return nil }
    unsafe self.work = unsafe work
  }

  /// False: it waits to run already. Any context.
  @discardableResult
  public borrowing func schedule(afterMilliseconds delay: UInt32 = 0) -> Bool { unsafe ks_work_schedule(work, delay) }
  /// As `schedule`, and moves the time of one that waits. Any context.
  public borrowing func reschedule(afterMilliseconds delay: UInt32) { unsafe ks_work_reschedule(work, delay) }
  /// Sleeps until it neither waits nor runs.
  public borrowing func cancelAndWait() { unsafe ks_work_cancel(work) }
  /// Sleeps until what was scheduled has run.
  public borrowing func flush() { unsafe ks_work_flush(work) }

  deinit { unsafe ks_work_free(work) }
}

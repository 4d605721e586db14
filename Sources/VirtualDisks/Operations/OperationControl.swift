// SPDX-License-Identifier: Apache-2.0

/// How a long operation tells what it has done, and learns that it is not wanted any more. Both are called by the thread
/// that works, some times a second.
public struct OperationControl: Sendable {
  /// In bytes of the disk.
  public var progress: @Sendable (_ done: UInt64, _ total: UInt64) -> Void
  public var isCancelled: @Sendable () -> Bool

  public init(
    progress: @escaping @Sendable (_ done: UInt64, _ total: UInt64) -> Void = { _, _ in },
    isCancelled: @escaping @Sendable () -> Bool = { false }
  ) {
    self.progress = progress
    self.isCancelled = isCancelled
  }

  func report(_ done: UInt64, _ total: UInt64) throws(OperationError) {
    if isCancelled() { throw .cancelled }
    progress(done, total)
  }
}

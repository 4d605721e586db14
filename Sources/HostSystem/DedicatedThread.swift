// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// A named thread of its own for work that blocks. It must be joined, once or more often.
public final class DedicatedThread: Sendable {
  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// The pthread_t, for signals.
  public let handle: UInt
  private let joined = Atomic<Bool>(false)

  /// `name` has at most 15 bytes. The thread takes no signals but its own faults.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    var handle = pthread_t()
    let start = unsafe Unmanaged.passRetained(Start(name, body))
    let result = unsafe pthread_create(
      &handle, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe clinux_thread_enter(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    guard result == 0 else {
      unsafe start.release()
      throw SystemError("pthread_create", name, error: result)
    }
    self.handle = handle
  }

  deinit { precondition(joined.load(ordering: .relaxed), "a thread was not joined") }

  /// Waits for the thread's end.
  public func join() {
    guard !joined.exchange(true, ordering: .relaxed) else { return }
    pthread_join(handle, nil)
  }
}

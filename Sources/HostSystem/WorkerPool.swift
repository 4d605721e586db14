// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Threads for work that blocks, made when they are needed: up to `limit` tasks run at a time, in the order in which they
/// came. Threads that have nothing to do wait for the next task.
public final class WorkerPool: Sendable {
  private struct State {
    var tasks: [@Sendable () -> Void] = []
    var threads: [DedicatedThread] = []
    /// Threads that wait, or have been woken and not looked yet.
    var idle = 0
    var isFinished = false
  }

  private let name: String
  private let limit: Int
  private let state = Mutex(State())
  private let wakeups = DispatchSemaphore(value: 0)

  /// `name`: of the threads; the first 15 bytes count.
  public init(name: String, limit: Int) {
    precondition(limit > 0)
    self.name = String(name.utf8.prefix(15)) ?? "worker"
    self.limit = limit
  }

  /// Runs `task` on one of the threads; where not even one can be made, on the caller's.
  public func run(_ task: @escaping @Sendable () -> Void) {
    let isQueued = state.withLock { state in
      // Each task that waits has an idle thread on its way to it.
      if state.tasks.count >= state.idle, state.threads.count < limit, !state.isFinished {
        if let thread = try? DedicatedThread(name: name, { [self] in work() }) { state.threads.append(thread) }
      }
      guard !state.threads.isEmpty else { return false }
      state.tasks.append(task)
      return true
    }
    if isQueued { wakeups.signal() } else { task() }
  }

  /// Returns when all tasks are done and all threads have ended. Only tasks may add more meanwhile.
  public func finish() {
    let threads = state.withLock { state in
      state.isFinished = true
      return state.threads
    }
    for _ in threads { wakeups.signal() }
    for thread in threads { thread.join() }
    state.withLock { $0.threads.removeAll() }
  }

  private func work() {
    while true {
      state.withLock { $0.idle += 1 }
      wakeups.wait()
      let task = state.withLock { state in
        state.idle -= 1
        return state.tasks.isEmpty ? nil : state.tasks.removeFirst()
      }
      // Woken without a task: the end.
      guard let task else { return }
      task()
    }
  }
}

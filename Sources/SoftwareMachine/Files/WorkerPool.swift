// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dispatch
import Glibc
import Synchronization

/// Threads for work that blocks: a task never waits for another one, up to `limit` and the thread that asks. Threads
/// that have nothing to do wait for the next task.
final class WorkerPool: Sendable {
  private struct State {
    var tasks: [@Sendable () -> Void] = []
    var idle = 0
    var threads = 0
    var isFinished = false
  }

  private let name: String
  private let limit: Int
  private let state = Mutex(State())
  private let wakeups = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)

  /// `limit`: the most tasks that run or wait at any time, besides a first one that stays.
  init(name: String, limit: Int) {
    self.name = name
    self.limit = limit + 1
  }

  func run(_ task: @escaping @Sendable () -> Void) {
    let needsThread = state.withLock { state in
      state.tasks.append(task)
      let isShort = state.tasks.count > state.idle && state.threads < limit && !state.isFinished
      if isShort { state.threads += 1 }
      return isShort
    }
    // Where no thread can be had, one of those that are there does it later.
    if needsThread && !start() { state.withLock { $0.threads -= 1 } }
    wakeups.signal()
  }

  /// Waits, the first time, until all tasks are done and all threads have ended. None may be added meanwhile but by tasks.
  func finish() {
    let threads = state.withLock { state in
      state.isFinished = true
      defer { state.threads = 0 }
      return state.threads
    }
    for _ in 0..<threads { wakeups.signal() }
    for _ in 0..<threads { ended.wait() }
  }

  private func start() -> Bool {
    let pool = unsafe Unmanaged.passRetained(self)
    var handle = pthread_t()
    let result = unsafe pthread_create(
      &handle, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let pool = unsafe Unmanaged<WorkerPool>.fromOpaque(argument).takeRetainedValue()
        unsafe clinux_thread_enter(pool.name)
        pool.work()
        pool.ended.signal()
        return nil
      }, pool.toOpaque())
    guard result == 0 else {
      unsafe pool.release()
      return false
    }
    pthread_detach(handle)
    return true
  }

  private func work() {
    while true {
      state.withLock { $0.idle += 1 }
      wakeups.wait()
      let (task, isOver) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
        state.idle -= 1
        guard !state.tasks.isEmpty else { return (nil, state.isFinished) }
        return (state.tasks.removeFirst(), false)
      }
      task?()
      if isOver { return }
    }
  }
}

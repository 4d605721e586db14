// SPDX-License-Identifier: Apache-2.0

import Dispatch
import HostSystem
import Synchronization

/// A drive's own threads, for what can block: allocation, flushes, discards, and everything where there is no io_uring.
/// Of its own, so that a drive whose file answers slowly keeps none of the others waiting. Made when first needed.
final class DriveWorkers: Sendable {
  /// Two, so that a flush does not keep writes waiting.
  private static let threadLimit = 2
  /// How long a request that found no space waits before it looks again.
  private static let spaceInterval = DispatchTimeInterval.milliseconds(500)

  private struct State {
    var jobs: [@Sendable () -> Void] = []
    var threads: [DedicatedThread] = []
    var idle = 0
    var waitingForSpace = 0
    var isStopping = false
  }

  private let name: String
  private let state = Mutex(State())
  private let work = DispatchSemaphore(value: 0)
  private let space = DispatchSemaphore(value: 0)

  init(name: String) { self.name = String(name.utf8.prefix(15)) ?? "disk" }

  var isStopping: Bool { state.withLock { $0.isStopping } }

  /// Runs `job` on one of the threads. The callers' slots bound how many wait. Where not even one thread can be made,
  /// the caller's thread does it.
  func submit(_ job: @escaping @Sendable () -> Void) {
    let isQueued = state.withLock { state in
      if state.idle == 0, state.threads.count < Self.threadLimit {
        if let thread = try? DedicatedThread(name: name, { [self] in run() }) { state.threads.append(thread) }
      }
      guard !state.threads.isEmpty else { return false }
      state.jobs.append(job)
      return true
    }
    if isQueued { work.signal() } else { job() }
  }

  private func run() {
    while true {
      state.withLock { $0.idle += 1 }
      work.wait()
      let job = state.withLock { state in
        state.idle -= 1
        return state.jobs.isEmpty ? nil : state.jobs.removeFirst()
      }
      // Woken without work: the end.
      guard let job else { return }
      job()
    }
  }

  /// On a worker: sleeps for a while, or until `wakeWaiting`.
  func waitForSpace() {
    state.withLock { $0.waitingForSpace += 1 }
    _ = space.wait(timeout: .now() + Self.spaceInterval)
    state.withLock { $0.waitingForSpace -= 1 }
  }

  func wakeWaiting() {
    for _ in 0..<state.withLock({ $0.waitingForSpace }) { space.signal() }
  }

  /// Returns when every job is done. Nothing is submitted any more.
  func stop() {
    let threads = state.withLock { state in
      state.isStopping = true
      let threads = state.threads
      state.threads = []
      return threads
    }
    wakeWaiting()
    for _ in threads { work.signal() }
    for thread in threads { thread.join() }
  }
}

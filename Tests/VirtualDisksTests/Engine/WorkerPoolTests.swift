// SPDX-License-Identifier: Apache-2.0

import Dispatch
import HostSystem
import Synchronization
import Testing

/// The threads under drives and file links.
@Suite struct WorkerPoolTests {
  /// Each of two tasks that come at once waits for the other; also where a thread from before is idle.
  @Test(.timeLimit(.minutes(1))) func tasksDoNotWaitForEachOther() {
    for _ in 0..<200 {
      let pool = WorkerPool(name: "test", limit: 2)
      let first = DispatchSemaphore(value: 0)
      pool.run { first.signal() }
      first.wait()
      let (left, right) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      pool.run {
        right.signal()
        left.wait()
      }
      pool.run {
        left.signal()
        right.wait()
      }
      pool.finish()
    }
  }

  @Test(.timeLimit(.minutes(1)), arguments: [1, 2, 7]) func everyTaskRunsOnceAndNoMoreAtATime(_ limit: Int) {
    let pool = WorkerPool(name: "a long name that is cut", limit: limit)
    let done = Mutex<[Int: Int]>([:])
    let running = Atomic<Int>(0)
    let most = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 4) { caller in
      for number in 0..<500 {
        pool.run {
          most.max(running.wrappingAdd(1, ordering: .relaxed).newValue, ordering: .relaxed)
          done.withLock { $0[caller * 500 + number, default: 0] += 1 }
          running.wrappingSubtract(1, ordering: .relaxed)
        }
      }
    }
    pool.finish()
    #expect(done.withLock { $0.count == 2000 && $0.values.allSatisfy { $0 == 1 } })
    #expect(most.load(ordering: .relaxed) <= limit)
  }

  /// What tasks ask for while the pool finishes is done, too; finishing twice is finishing.
  @Test(.timeLimit(.minutes(1))) func finishing() {
    let pool = WorkerPool(name: "test", limit: 3)
    let count = Atomic<Int>(0)
    for _ in 0..<20 {
      pool.run {
        pool.run {
          pool.run { count.wrappingAdd(1, ordering: .relaxed) }
          count.wrappingAdd(1, ordering: .relaxed)
        }
        count.wrappingAdd(1, ordering: .relaxed)
      }
    }
    pool.finish()
    #expect(count.load(ordering: .relaxed) == 60)
    pool.finish()
  }
}

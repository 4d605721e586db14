// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Where a drive's requests sleep that found no space on the host, before they look again.
final class SpaceWait: Sendable {
  private static let interval = DispatchTimeInterval.milliseconds(500)

  private let waiting = Atomic<Int>(0)
  private let wakeups = DispatchSemaphore(value: 0)

  /// Sleeps for a while, or until `wakeAll`.
  func sleep() {
    waiting.wrappingAdd(1, ordering: .sequentiallyConsistent)
    _ = wakeups.wait(timeout: .now() + Self.interval)
    waiting.wrappingSubtract(1, ordering: .sequentiallyConsistent)
  }

  /// Who has just woken by itself leaves a signal over: then somebody looks again a little early.
  func wakeAll() {
    for _ in 0..<waiting.load(ordering: .sequentiallyConsistent) { wakeups.signal() }
  }
}

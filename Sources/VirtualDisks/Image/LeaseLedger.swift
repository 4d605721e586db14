// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Counts the leases of an image by epoch. Freeing something starts a new epoch; what was freed in an epoch may be used
/// again when no lease of that epoch or an earlier one is left. Any thread; never blocks except in `waitForEarlier`.
public final class LeaseLedger: Sendable {
  private struct State {
    /// The epoch of `counts[0]`. Every lease of an earlier one has ended.
    var oldest: UInt64 = 0
    /// Leases alive, by epoch from `oldest` on; the last one is the epoch that new leases join.
    var counts: [UInt32] = [0]
  }

  private let state = Mutex(State())

  public init() {}

  public func begin() -> IOLease {
    let epoch = state.withLock { state in
      let last = state.counts.count - 1
      state.counts[last] += 1
      return state.oldest &+ UInt64(last)
    }
    return IOLease(self, epoch: epoch)
  }

  func end(_ epoch: UInt64) {
    state.withLock { state in
      state.counts[Int(epoch &- state.oldest)] -= 1
      guard epoch == state.oldest else { return }
      let ended = state.counts.dropLast().prefix { $0 == 0 }.count
      if ended > 0 {
        state.counts.removeFirst(ended)
        state.oldest &+= UInt64(ended)
      }
    }
  }

  /// The epoch that has just ended for new leases: what is freed now may be used again when `hasEnded` of it.
  public func advance() -> UInt64 {
    state.withLock { state in
      let epoch = state.oldest &+ UInt64(state.counts.count - 1)
      if state.counts == [0] {
        state.oldest &+= 1
      } else {
        state.counts.append(0)
      }
      return epoch
    }
  }

  /// True when no lease of `epoch` or an earlier one is alive.
  public func hasEnded(_ epoch: UInt64) -> Bool { state.withLock { $0.oldest > epoch } }

  /// Blocks until every lease that is alive now has ended. By polling: it happens when a disk is resized, no more often.
  public func waitForEarlier() {
    let epoch = advance()
    while !hasEnded(epoch) { usleep(500) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension Mutex where Value: ~Copyable {
  /// How often a lock is asked for: about as long as somebody needs it who does no I/O under it.
  private static var patience: Int { 64 }

  /// Runs `body` under the lock; nil when somebody holds it for longer than a look at memory takes.
  func withLockSoon<Result>(_ body: (inout sending Value) -> Result?) -> Result? {
    for _ in 0..<Self.patience {
      if let result = withLockIfAvailable({ value in body(&value) }) { return result }
    }
    return nil
  }
}

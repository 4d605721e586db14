// SPDX-License-Identifier: Apache-2.0

import Synchronization
import VirtualDisks

/// Knows which of a machine's drives wait for space on the host, whatever controller they are on: the machine goes on when
/// none does any more.
final class SpaceWatch: DriveSpaceObserver {
  private let waiting = Mutex<Set<ObjectIdentifier>>([])
  /// Told when the first drive finds no space, and when the last of them has found some. One call at a time, in order.
  private let changed: @Sendable (_ isShort: Bool, _ drive: String) -> Void

  init(changed: @escaping @Sendable (_ isShort: Bool, _ drive: String) -> Void) { self.changed = changed }

  func isWaiting(_ drive: Drive) -> Bool { waiting.withLock { $0.contains(ObjectIdentifier(drive)) } }

  func driveWaitsForSpace(_ drive: Drive) {
    // Under the lock, or the news of two drives could change places on their way.
    waiting.withLock { waiting in
      guard waiting.insert(ObjectIdentifier(drive)).inserted, waiting.count == 1 else { return }
      changed(true, drive.name)
    }
  }

  func driveHasSpace(_ drive: Drive) {
    waiting.withLock { waiting in
      guard waiting.remove(ObjectIdentifier(drive)) != nil, waiting.isEmpty else { return }
      changed(false, drive.name)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import HostSystem
import Synchronization

/// Reads the boot files into memory on a thread of its own, while KVM builds the machine: that waits for the host's
/// grace periods more than it computes, so the two together take little longer than one.
///
/// The thread is joined when this object ends, whatever happened in between.
final class FileLoad {
  private final class Outcome: Sendable {
    let error = Mutex<PartitionError?>(nil)
  }

  private let outcome = Outcome()
  private let thread: DedicatedThread

  init(_ loader: BootLoader, into memory: GuestMemory) throws(PartitionError) {
    let outcome = outcome
    thread = try DedicatedThread.forPartition(name: "load") {
      do throws(PartitionError) { try loader.loadFiles(into: memory) } catch {
        outcome.error.withLock { $0 = error }
      }
    }
  }

  deinit { thread.join() }

  /// Waits for the end and reports how it went.
  func finish() throws(PartitionError) {
    thread.join()
    if let error = outcome.error.withLock(\.self) { throw error }
  }
}

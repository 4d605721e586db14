// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import Partition
import Synchronization
import VirtualMachine

/// Ctrl-C and `kill` while there is something to clean up and the machine does not listen for signals itself: before its
/// start, what was made is removed, and the process ends; after its end, which needs no more than a moment, nothing. At
/// all other times the system's default is right.
final class EarlyInterruption: Sendable {
  private struct State {
    var isActive = true
    /// Undone in reverse order.
    var cleanups: [@Sendable () -> Void] = []
  }

  private let state = Mutex(State())
  private let watch = Mutex<SignalWatch?>(nil)

  init() throws(PartitionError) {
    let watch = try SignalWatch { [weak self] _ in self?.interrupted() }
    self.watch.withLock { $0 = watch }
  }

  /// Makes something that must be undone. A signal in the middle of it waits for its end.
  func making<Value, Failure: Error>(
    _ make: () throws(Failure) -> Value, undo: @escaping @Sendable (Value) -> Void
  ) throws(Failure) -> Value where Value: Sendable {
    try state.withLock { state throws(Failure) in
      let value = try make()
      state.cleanups.append { undo(value) }
      return value
    }
  }

  /// Somebody else listens by now. Signals that come when that one is gone again are ignored.
  func handOver() { state.withLock { $0.isActive = false } }

  /// What was made is undone, or is there to stay.
  func end() { watch.withLock { $0.take() }?.end() }

  deinit { end() }

  private func interrupted() {
    state.withLock { state in
      guard state.isActive else { return }
      for cleanup in state.cleanups.reversed() { cleanup() }
      StandardError.line("given up on request, before the machine started")
      _exit(ExitStatus.cancelled.rawValue)
    }
  }
}

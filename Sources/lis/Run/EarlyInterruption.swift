// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Dispatch
import Glibc
import Synchronization

/// Ctrl-C and `kill` between the moment there is something to clean up and the moment the machine listens for signals
/// itself: what was made is removed, and the process ends. Before that the system's default is right.
final class EarlyInterruption: Sendable {
  private struct State {
    var isActive = true
    /// Undone in reverse order.
    var cleanups: [@Sendable () -> Void] = []
  }

  private let state = Mutex(State())
  private let sources = Mutex<[any DispatchSourceSignal]>([])

  init() {
    let queue = DispatchQueue(label: "swift-lis.early")
    sources.withLock { sources in
      for number in Interruption.signals {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
        source.setEventHandler { [weak self] in self?.interrupted() }
        source.resume()
        sources.append(source)
      }
    }
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

  /// Somebody else listens from now on.
  func handOver() {
    state.withLock { $0.isActive = false }
    sources.withLock { sources in
      for source in sources { source.cancel() }
      sources = []
    }
  }

  deinit { handOver() }

  private func interrupted() {
    state.withLock { state in
      guard state.isActive else { return }
      for cleanup in state.cleanups.reversed() { cleanup() }
      StandardError.line("given up on request, before the machine started")
      _exit(ExitStatus.cancelled.rawValue)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Partition
import Synchronization
import VirtualMachine

/// Runs work that Ctrl-C gives up in an orderly way: the task is cancelled, its error is `.cancelled`, and what must be
/// put right (a terminal, a half-copied file) is.
enum Interruption {
  static func cancels<Value: Sendable>(
    _ work: @escaping @Sendable () async throws(ControlError) -> Value
  ) async throws(ControlError) -> Value {
    // The watch comes first and goes last: what the work puts right is never in danger.
    let given = GivenUp()
    let watch: SignalWatch
    do throws(PartitionError) { watch = try SignalWatch { _ in given.giveUp() } } catch { throw ControlError(error) }
    defer { watch.end() }
    let task = Task { () async -> Result<Value, ControlError> in
      do throws(ControlError) { return .success(try await work()) } catch { return .failure(error) }
    }
    given.cancels { task.cancel() }
    return try await task.value.get()
  }

  /// A signal, and the task that it cancels: either may come first.
  private final class GivenUp: Sendable {
    private struct State {
      var isGivenUp = false
      var cancel: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    func giveUp() {
      let cancel = state.withLock { state in
        state.isGivenUp = true
        return state.cancel
      }
      cancel?()
    }

    func cancels(_ cancel: @escaping @Sendable () -> Void) {
      let isGivenUp = state.withLock { state in
        state.cancel = cancel
        return state.isGivenUp
      }
      if isGivenUp { cancel() }
    }
  }
}

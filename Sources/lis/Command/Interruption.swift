// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Partition
import VirtualMachine

/// Runs work that Ctrl-C gives up in an orderly way: the task is cancelled, its error is `.cancelled`, and what must be
/// put right (a terminal, a half-copied file) is.
enum Interruption {
  static func cancels<Value: Sendable>(
    _ work: @escaping @Sendable () async throws(ControlError) -> Value
  ) async throws(ControlError) -> Value {
    let task = Task { () async -> Result<Value, ControlError> in
      do throws(ControlError) { return .success(try await work()) } catch { return .failure(error) }
    }
    let watch: SignalWatch
    do throws(PartitionError) { watch = try SignalWatch { _ in task.cancel() } } catch { throw ControlError(error) }
    defer { watch.end() }
    return try await task.value.get()
  }
}

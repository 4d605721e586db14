// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Dispatch
import Glibc

/// Runs work that Ctrl-C gives up in an orderly way: the task is cancelled, its error is `.cancelled`, and what must be
/// put right (a terminal, a half-copied file) is.
enum Interruption {
  static let signals = [SIGINT, SIGTERM, SIGHUP]

  static func cancels<Value: Sendable>(
    _ work: @escaping @Sendable () async throws(ControlError) -> Value
  ) async throws(ControlError) -> Value {
    let task = Task { () async -> Result<Value, ControlError> in
      do throws(ControlError) { return .success(try await work()) } catch { return .failure(error) }
    }
    let queue = DispatchQueue(label: "swift-lis.interruption")
    var sources: [any DispatchSourceSignal] = []
    for number in signals {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler { task.cancel() }
      source.resume()
      sources.append(source)
    }
    defer { for source in sources { source.cancel() } }
    return try await task.value.get()
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A value that tasks can wait on.
final class Watched<Value: Sendable>: Sendable {
  private struct Waiter {
    var condition: @Sendable (Value) -> Bool
    var continuation: CheckedContinuation<Bool, Never>
  }

  private struct State {
    var value: Value
    var waiters: [UInt64: Waiter] = [:]
    /// Waits that were given up before they were entered here.
    var cancelled: Set<UInt64> = []
    var nextWaiter: UInt64 = 0
  }

  private let state: Mutex<State>

  init(_ value: Value) { state = Mutex(State(value: value)) }

  var value: Value { state.withLock { $0.value } }

  /// Changes the value and wakes those whose condition it meets now.
  @discardableResult
  func update<R: Sendable>(_ body: @Sendable (inout Value) -> R) -> R {
    let (result, ready) = state.withLock { state in
      let result = body(&state.value)
      var ready: [CheckedContinuation<Bool, Never>] = []
      for (id, waiter) in state.waiters where waiter.condition(state.value) {
        ready.append(waiter.continuation)
        state.waiters[id] = nil
      }
      return (result, ready)
    }
    for continuation in ready { continuation.resume(returning: true) }
    return result
  }

  /// Whether `condition` came true within `limit`.
  func wait(upTo limit: Duration, until condition: @escaping @Sendable (Value) -> Bool) async -> Bool {
    await withTaskGroup(of: Bool.self) { group in
      group.addTask { await self.wait(until: condition) }
      group.addTask {
        try? await Task.sleep(for: limit)
        return false
      }
      let met = await group.next() ?? false
      group.cancelAll()
      return met
    }
  }

  /// true when `condition` came true, false when the task was cancelled.
  @discardableResult
  func wait(until condition: @escaping @Sendable (Value) -> Bool) async -> Bool {
    let id = state.withLock { state in
      state.nextWaiter &+= 1
      return state.nextWaiter
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let answer: Bool? = state.withLock { state in
          if condition(state.value) { return true }
          if state.cancelled.remove(id) != nil { return false }
          state.waiters[id] = Waiter(condition: condition, continuation: continuation)
          return nil
        }
        if let answer { continuation.resume(returning: answer) }
      }
    } onCancel: {
      let continuation = state.withLock { state in
        let waiter = state.waiters.removeValue(forKey: id)
        if waiter == nil { state.cancelled.insert(id) }
        return waiter?.continuation
      }
      continuation?.resume(returning: false)
    }
  }
}

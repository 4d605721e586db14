// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A value that tasks can wait on.
final class Watched<Value: Sendable>: Sendable {
  private struct Waiter {
    var id: UInt64
    var condition: @Sendable (Value) -> Bool
    var continuation: CheckedContinuation<Bool, Never>
  }

  private struct State {
    var value: Value
    /// A handful, in the order in which they came.
    var waiters: [Waiter] = []
    /// Waits that were given up before they were entered here.
    var cancelled: [UInt64] = []
    var nextWaiter: UInt64 = 0

    mutating func takeCancelled(_ id: UInt64) -> Bool {
      guard let index = cancelled.firstIndex(of: id) else { return false }
      cancelled.remove(at: index)
      return true
    }
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
      state.waiters.removeAll { [value = state.value] waiter in
        guard waiter.condition(value) else { return false }
        ready.append(waiter.continuation)
        return true
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
    let met = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let answer: Bool? = state.withLock { state in
          if condition(state.value) { return true }
          if state.takeCancelled(id) { return false }
          state.waiters.append(Waiter(id: id, condition: condition, continuation: continuation))
          return nil
        }
        if let answer { continuation.resume(returning: answer) }
      }
    } onCancel: {
      let continuation = state.withLock { state in
        guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
          state.cancelled.append(id)
          return nil as CheckedContinuation<Bool, Never>?
        }
        return state.waiters.remove(at: index).continuation
      }
      continuation?.resume(returning: false)
    }
    // Given up in the moment in which the condition came true.
    state.withLock { _ = $0.takeCancelled(id) }
    return met
  }
}

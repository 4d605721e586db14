// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import HostSystem
import Synchronization
import VirtualDisks
import VirtualMachine

/// Runs an operation on images on a thread of its own, with progress on a terminal, until it ends or Ctrl-C gives it up.
enum DiskWork {
  private final class Flag: Sendable {
    private let state = Atomic<Bool>(false)
    var isSet: Bool { state.load(ordering: .relaxed) }
    func set() { state.store(true, ordering: .relaxed) }
  }

  /// The line is made when the first report says how much there is to do.
  private final class Line: Sendable {
    private let line = Mutex<ProgressLine?>(nil)

    func draw(_ done: UInt64, _ total: UInt64) {
      line.withLock { line in
        if line == nil { line = ProgressLine(total) }
        line?.draw(done)
      }
    }

    func end() { line.withLock { $0?.end() } }
  }

  static func run<Value: Sendable>(
    _ work: @escaping @Sendable (OperationControl) throws(OperationError) -> Value
  ) async throws(ControlError) -> Value {
    try await Interruption.cancels { () async throws(ControlError) in
      let isCancelled = Flag()
      let line = Line()
      let control = OperationControl(progress: { line.draw($0, $1) }, isCancelled: { isCancelled.isSet })
      let result = await withTaskCancellationHandler {
        await onThread { () -> Result<Value, OperationError> in
          do throws(OperationError) { return .success(try work(control)) } catch { return .failure(error) }
        }
      } onCancel: {
        isCancelled.set()
      }
      line.end()
      do throws(OperationError) { return try result.get() } catch { throw ControlError(error) }
    }
  }

  private static func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () -> Result<Value, OperationError>
  ) async -> Result<Value, OperationError> {
    let thread = Mutex<DedicatedThread?>(nil)
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, OperationError>, Never>) in
      do throws(SystemError) {
        let started = try DedicatedThread(name: "disk") { continuation.resume(returning: body()) }
        thread.withLock { $0 = started }
      } catch {
        // Without a thread of its own it blocks this one, which nobody else needs.
        continuation.resume(returning: body())
      }
    }
    thread.withLock { $0?.join() }
    return result
  }
}

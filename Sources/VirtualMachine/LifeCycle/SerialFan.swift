// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Dispatch
import Partition
import Synchronization

/// The guest's serial output on its way to all who read it: the console's clients, and a file or terminal.
final class SerialFan: SerialSink {
  private let console: ConsoleHub
  private let other: (any SerialSink)?

  init(console: ConsoleHub, other: (any SerialSink)?) {
    self.console = console
    self.other = other
  }

  func serialOutput(_ bytes: UnsafeRawBufferPointer) {
    console.publish(unsafe [UInt8](bytes))
    unsafe other?.serialOutput(bytes)
  }
}

/// What people type, on its way to a partition that is made later.
///
/// The port's receive queue takes what a person types; what is pasted waits here, and follows as the guest reads: in
/// pieces with a pause between them, so that a guest's interrupt handler comes to an end.
final class SerialInput: Sendable {
  /// What a guest that reads nothing may leave waiting; more is lost, as on a real line without flow control.
  static let limit = 1 << 20
  private static let piece = 4096

  private struct State {
    /// Takes as many of the bytes as fit, and says how many.
    var port: (@Sendable ([UInt8]) -> Int)?
    var waiting: ArraySlice<UInt8> = []
    var isFeeding = false
  }

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "swift-lis.typing")

  func connect(_ port: @escaping @Sendable ([UInt8]) -> Int) { state.withLock { $0.port = port } }

  func type(_ bytes: [UInt8]) {
    let feed = state.withLock { state -> Bool in
      guard let port = state.port else { return false }
      let taken = state.waiting.isEmpty ? port(bytes) : 0
      state.waiting += bytes.dropFirst(taken).prefix(Self.limit - state.waiting.count)
      guard !state.waiting.isEmpty, !state.isFeeding else { return false }
      state.isFeeding = true
      return true
    }
    if feed { scheduleFeed(after: 5) }
  }

  private func scheduleFeed(after milliseconds: Int) {
    queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [weak self] in self?.feed(milliseconds) }
  }

  /// A guest that takes nothing is asked less and less often.
  private func feed(_ pause: Int) {
    let taken = state.withLock { state -> Int? in
      let taken = state.port?(Array(state.waiting.prefix(Self.piece))) ?? 0
      state.waiting = state.waiting.dropFirst(taken)
      guard state.waiting.isEmpty else { return taken }
      state.waiting = []
      state.isFeeding = false
      return nil
    }
    if let taken { scheduleFeed(after: taken > 0 ? 5 : min(pause * 2, 200)) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A streamed request body between the connection (event loop, pushes) and its handler (a task, pulls).
///
/// The connection stops reading its socket while the pipe is full, so it holds `capacity` bytes and at most what one
/// turn of reading its socket brings on top.
final class BodyPipe: Sendable {
  private enum End: Sendable {
    case complete
    case failed(ControlError)
  }

  private struct State {
    var chunks: [[UInt8]] = []
    var byteCount = 0
    var end: End?
    var waiter: CheckedContinuation<Void, Never>?
  }

  static let capacity = 256 * 1024
  static let chunkBytes = 65_536

  private let state = Mutex(State())
  /// Called when a full pipe is full no longer, from the handler's task.
  private let roomMade: @Sendable () -> Void

  /// What the client's Content-Length said.
  let announcedByteCount: UInt64?

  init(announcedByteCount: UInt64?, roomMade: @escaping @Sendable () -> Void) {
    self.announcedByteCount = announcedByteCount
    self.roomMade = roomMade
  }

  var isFull: Bool { state.withLock { $0.byteCount >= Self.capacity } }

  func push(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    wake { state in
      guard state.end == nil else { return }
      var rest = bytes[...]
      while !rest.isEmpty {
        state.chunks.append(Array(rest.prefix(Self.chunkBytes)))
        rest = rest.dropFirst(Self.chunkBytes)
      }
      state.byteCount += bytes.count
    }
  }

  func finish() { wake { $0.end = $0.end ?? .complete } }

  func fail(_ error: ControlError) {
    wake { state in
      guard state.end == nil else { return }
      state.end = .failed(error)
      state.chunks = []
      state.byteCount = 0
    }
  }

  /// For the handler, one call at a time.
  func next() async throws(ControlError) -> [UInt8]? {
    while true {
      enum Step {
        case chunk([UInt8], madeRoom: Bool)
        case end(End)
        case wait
      }
      let step: Step = state.withLock { state in
        if !state.chunks.isEmpty {
          let wasFull = state.byteCount >= Self.capacity
          let chunk = state.chunks.removeFirst()
          state.byteCount -= chunk.count
          return .chunk(chunk, madeRoom: wasFull && state.byteCount < Self.capacity)
        }
        return state.end.map { .end($0) } ?? .wait
      }
      switch step {
      case .chunk(let chunk, let madeRoom):
        if madeRoom { roomMade() }
        return chunk
      case .end(.complete): return nil
      case .end(.failed(let error)): throw error
      case .wait:
        await withCheckedContinuation { continuation in
          let ready = state.withLock { state in
            guard state.chunks.isEmpty, state.end == nil else { return true }
            state.waiter = continuation
            return false
          }
          if ready { continuation.resume() }
        }
      }
    }
  }

  private func wake(_ change: (inout State) -> Void) {
    let waiter = state.withLock { state in
      change(&state)
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }
}

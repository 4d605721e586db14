// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The serial console between the VM and any number of attached clients.
///
/// The VM hands over what the guest printed (`publish`, any thread, never waits) and takes what clients type through the
/// `input` closure. The last 64 KiB are kept, so that a client that attaches late sees how it came to this.
public final class ConsoleHub: Sendable {
  private struct State {
    var past: [UInt8] = []
    var readers = LiveReaders<[UInt8]>(limit: ConsoleHub.maximumReaders)
  }

  public static let scrollbackBytes = 64 * 1024
  /// How many pieces of output a client may lag behind before the oldest are dropped.
  public static let readerCapacity = 1024
  public static let maximumReaders = 16

  private let state = Mutex(State())
  private let input: @Sendable ([UInt8]) -> Void

  /// `input` is called with what a client typed, on any thread; it must queue, not wait.
  public init(input: @escaping @Sendable ([UInt8]) -> Void) { self.input = input }

  /// The guest printed this.
  public func publish(_ bytes: [UInt8]) {
    state.withLock { state in
      state.past.append(contentsOf: bytes)
      if state.past.count > 2 * Self.scrollbackBytes {
        state.past.removeFirst(state.past.count - Self.scrollbackBytes)
      }
      state.readers.yield(bytes)
    }
  }

  /// A client typed this.
  public func type(_ bytes: [UInt8]) { input(bytes) }

  /// What is kept (when asked for), then everything the guest prints until `finish`.
  public func attach(replay: Bool) throws(ControlError) -> AsyncStream<[UInt8]> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: [UInt8].self, bufferingPolicy: .bufferingNewest(Self.readerCapacity))
    let reader = state.withLock { state in
      if replay, !state.past.isEmpty { continuation.yield(Array(state.past.suffix(Self.scrollbackBytes))) }
      return state.readers.add(continuation)
    }
    guard let reader else {
      throw ControlError(
        .tooManyClients, "\(Self.maximumReaders) clients are attached to the console already",
        remedy: "detach one of them")
    }
    continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.readers.remove(reader) } }
    return stream
  }

  /// Ends all attached clients.
  public func finish() {
    let readers = state.withLock { $0.readers.finish() }
    for reader in readers { reader.finish() }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The events of one run of a machine: a bounded memory of past ones and any number of live readers.
///
/// `record` may be called from any thread. It takes a lock for a few hundred nanoseconds and never waits for a reader: a
/// reader that falls behind loses events and sees a gap in the sequence numbers.
public final class EventLog: Sendable {
  private struct State {
    var past: [Event] = []
    var nextSequence: UInt64 = 1
    var readers = LiveReaders<Event>(limit: EventLog.maximumReaders)
  }

  /// How many past events are kept.
  public static let capacity = 1024
  /// How many events a reader may lag behind.
  public static let readerCapacity = 256
  /// How many live readers there may be.
  public static let maximumReaders = 64

  private let state = Mutex(State())

  public init() {}

  @discardableResult
  public func record(_ kind: Event.Kind, _ message: String, details: [String: String] = [:]) -> Event {
    let time = Timestamp.now
    return state.withLock { state in
      let event = Event(sequence: state.nextSequence, time: time, kind: kind, message: message, details: details)
      state.nextSequence &+= 1
      if state.past.count >= Self.capacity { state.past.removeFirst(Self.capacity / 4) }
      state.past.append(event)
      state.readers.yield(event)
      return event
    }
  }

  /// Past events with a sequence number above `since`, oldest first.
  public func past(since: UInt64 = 0) -> [Event] {
    state.withLock { state in state.past.filter { $0.sequence > since } }
  }

  /// Past events above `since`, then live ones until `finish`. `since` nil: live ones only.
  public func follow(since: UInt64?) throws(ControlError) -> AsyncStream<Event> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: Event.self, bufferingPolicy: .bufferingNewest(Self.capacity + Self.readerCapacity))
    let reader = state.withLock { state in
      if let since {
        for event in state.past where event.sequence > since { continuation.yield(event) }
      }
      return state.readers.add(continuation)
    }
    guard let reader else {
      throw ControlError(
        .tooManyClients, "\(Self.maximumReaders) clients follow the events already", remedy: "end one of them")
    }
    continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.readers.remove(reader) } }
    return stream
  }

  /// Ends all live readers; later ones get the past and end.
  public func finish() {
    let readers = state.withLock { $0.readers.finish() }
    for reader in readers { reader.finish() }
  }
}

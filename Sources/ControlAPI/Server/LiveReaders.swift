// SPDX-License-Identifier: Apache-2.0

/// The live readers of something that goes on until it finishes: bounded in number, each with the stream that its owner
/// made for it. Used under the owner's lock.
struct LiveReaders<Element: Sendable>: Sendable {
  private let limit: Int
  private var streams: [UInt64: AsyncStream<Element>.Continuation] = [:]
  private var next: UInt64 = 1
  private var isFinished = false

  init(limit: Int) { self.limit = limit }

  /// Never waits: what a reader that lags behind loses is its stream's matter.
  func yield(_ element: Element) {
    for stream in streams.values { stream.yield(element) }
  }

  /// The number to `remove` it by; nil when there are too many. After the end a reader is finished at once.
  mutating func add(_ stream: AsyncStream<Element>.Continuation) -> UInt64? {
    if isFinished {
      stream.finish()
      return 0
    }
    guard streams.count < limit else { return nil }
    defer { next &+= 1 }
    streams[next] = stream
    return next
  }

  mutating func remove(_ reader: UInt64) { streams[reader] = nil }

  /// No more readers. Those there are must be finished without the lock, since they remove themselves then.
  mutating func finish() -> [AsyncStream<Element>.Continuation] {
    isFinished = true
    defer { streams = [:] }
    return Array(streams.values)
  }
}

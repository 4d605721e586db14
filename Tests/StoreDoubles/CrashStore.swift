// SPDX-License-Identifier: Apache-2.0

import Synchronization
import VirtualDisks

/// A file whose power can fail: what was written is seen at once, but durable only after a flush. It keeps a journal, out
/// of which the durable contents after a failure at any point can be made again and again.
public final class CrashStore: ByteStore {
  private struct State {
    var contents: SparseBytes
    var journal: CrashJournal
    var flushing = true
  }

  public let name: String
  public let isReadOnly: Bool
  private let punchesHoles: Bool
  private let state: Mutex<State>

  /// `punchesHoles`: as most file systems do.
  public init(
    _ contents: SparseBytes = SparseBytes(), name: String = "disk", isReadOnly: Bool = false, punchesHoles: Bool = true
  ) {
    self.name = name
    self.isReadOnly = isReadOnly
    self.punchesHoles = punchesHoles
    state = Mutex(State(contents: contents, journal: CrashJournal(start: contents)))
  }

  /// What a reader sees now.
  public var contents: SparseBytes { state.withLock { $0.contents } }
  public var journal: CrashJournal { state.withLock { $0.journal } }
  public var directDescriptor: Int32? { nil }

  public func byteCount() throws(StoreError) -> UInt64 { state.withLock { $0.contents.byteCount } }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
    let contents = state.withLock { $0.contents }
    guard unsafe contents.read(at: offset, into: buffer) else {
      throw StoreError(name: name, operation: .read, reason: .endOfFile, offset: min(offset, contents.byteCount))
    }
  }

  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) {
    guard !isReadOnly else { throw StoreError(name: name, operation: .write, reason: .readOnly, offset: offset) }
    let bytes = unsafe Array(buffer)
    change(.write(offset: offset, bytes))
  }

  public func flush() throws(StoreError) {
    guard !isReadOnly else { return }
    state.withLock { $0.journal.append(.flush) }
  }

  public func setByteCount(_ count: UInt64) throws(StoreError) {
    guard !isReadOnly else { throw StoreError(name: name, operation: .resize, reason: .readOnly, offset: count) }
    change(.setByteCount(count))
  }

  public func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) {
    guard !isReadOnly else { throw StoreError(name: name, operation: .deallocate, reason: .readOnly, offset: offset) }
    guard punchesHoles else {
      throw StoreError(name: name, operation: .deallocate, reason: .unsupported, offset: offset)
    }
    change(.clear(offset: offset, count: count))
  }

  private func change(_ step: CrashJournal.Step) {
    state.withLock { state in
      step.apply(to: &state.contents)
      state.journal.append(step)
    }
  }
}

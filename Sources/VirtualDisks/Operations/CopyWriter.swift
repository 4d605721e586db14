// SPDX-License-Identifier: Apache-2.0

import Dispatch
import HostSystem
import Synchronization

/// Writes the pieces of a copy on a thread of its own while the next ones are read: two buffers take turns. One thread
/// calls; it must call `finish`.
@safe final class CopyWriter: Sendable {
  /// Of one side at a time: of the reader from `room` to `put`, of the writer until it has written.
  @safe private struct Buffer: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer
  }

  private let buffers: [Buffer]
  private let free = DispatchSemaphore(value: 0)
  private let turn = Atomic<Int>(0)
  private let failure = Mutex<ImageError?>(nil)
  private let thread = WorkerPool(name: "copy", limit: 1)
  private let write: @Sendable (UnsafeRawBufferPointer, UInt64) throws(ImageError) -> Void

  /// `chunk`: bytes of a buffer. `write` gets a piece and its place, in order.
  init(chunk: Int, write: @escaping @Sendable (UnsafeRawBufferPointer, UInt64) throws(ImageError) -> Void) {
    buffers = (0..<2).map { _ in unsafe Buffer(bytes: .allocate(byteCount: chunk, alignment: 4096)) }
    unsafe self.write = write
    for _ in buffers { free.signal() }
  }

  deinit { for buffer in buffers { unsafe buffer.bytes.deallocate() } }

  /// Room for the next piece, when there is some. Throws what became of an earlier one.
  func room(_ byteCount: Int) throws(ImageError) -> UnsafeMutableRawBufferPointer {
    free.wait()
    try check()
    return unsafe UnsafeMutableRawBufferPointer(
      rebasing: buffers[turn.load(ordering: .relaxed) % buffers.count].bytes[..<byteCount])
  }

  /// The room is filled.
  func put(_ byteCount: Int, at offset: UInt64) {
    let buffer = buffers[turn.wrappingAdd(1, ordering: .relaxed).oldValue % buffers.count]
    thread.run { [self] in
      if failure.withLock({ $0 == nil }) {
        do throws(ImageError) {
          try unsafe write(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<byteCount]), offset)
        } catch {
          failure.withLock { $0 = error }
        }
      }
      free.signal()
    }
  }

  /// Returns when everything is written. Throws what became of it.
  func finish() throws(ImageError) {
    thread.finish()
    try check()
  }

  private func check() throws(ImageError) {
    if let error = failure.withLock({ $0 }) { throw error }
  }
}

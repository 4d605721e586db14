// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A store with changes over it that exist in memory only: how an image whose log wants replay is read without a byte of
/// it being changed. For the outside it is read-only; changes come from the replay alone, and are bounded.
final class OverlayStore: ByteStore {
  private struct State {
    var byteCount: UInt64
    /// 4 KiB each, by number.
    var pages: [UInt64: [UInt8]] = [:]
    /// Oldest first. A page that was written later is in `pages`, one that was written earlier is not any more.
    var cleared: [Range<UInt64>] = []
  }

  private static let maximumPageCount = 1 << 16
  private static let maximumRangeCount = 1 << 12
  private let base: any ByteStore
  private let state: Mutex<State>

  init(_ base: any ByteStore) throws(StoreError) {
    self.base = base
    state = Mutex(State(byteCount: try base.byteCount()))
  }

  var name: String { base.name }
  var isReadOnly: Bool { true }
  var directDescriptor: Int32? { nil }

  func byteCount() throws(StoreError) -> UInt64 { state.withLock { $0.byteCount } }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
    let end = try byteCount()
    let below = min(try base.byteCount(), end)
    guard offset <= end, end - offset >= UInt64(buffer.count) else { throw error(.read, .endOfFile, at: end) }
    let fromBase = offset < below ? Int(min(below - offset, UInt64(buffer.count))) : 0
    try unsafe base.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<fromBase]))
    unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[fromBase...]).initializeMemory(as: UInt8.self, repeating: 0)
    let whole = offset..<offset + UInt64(buffer.count)
    state.withLock { state in
      for range in state.cleared where range.overlaps(whole) {
        let part = range.clamped(to: whole)
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: buffer[Int(part.lowerBound - offset)..<Int(part.upperBound - offset)])
        unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
      }
      guard !state.pages.isEmpty, !whole.isEmpty else { return }
      for number in whole.lowerBound / 4096...(whole.upperBound - 1) / 4096 {
        guard let page = state.pages[number] else { continue }
        let part = (number * 4096..<(number + 1) * 4096).clamped(to: whole)
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: buffer[Int(part.lowerBound - offset)..<Int(part.upperBound - offset)])
        let start = Int(part.lowerBound - number * 4096)
        unsafe page.withUnsafeBytes { bytes in
          unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + target.count]))
        }
      }
    }
  }

  /// Whole pages only, which is what a log consists of.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(StoreError) {
    guard offset % 4096 == 0, buffer.count == 4096 else { throw error(.write, .readOnly, at: offset) }
    let page = unsafe Array(buffer)
    let fits = state.withLock { state in
      state.pages[offset / 4096] = page
      return state.pages.count <= Self.maximumPageCount
    }
    guard fits else { throw error(.write, .unsupported, at: offset) }
  }

  func flush() throws(StoreError) {}

  func setByteCount(_ count: UInt64) throws(StoreError) { state.withLock { $0.byteCount = max($0.byteCount, count) } }

  func deallocate(at offset: UInt64, count: UInt64) throws(StoreError) {
    let range = offset..<offset + count
    let fits = state.withLock { state in
      for number in state.pages.keys where range.contains(number * 4096) { state.pages[number] = nil }
      state.cleared.append(range)
      return state.cleared.count <= Self.maximumRangeCount
    }
    guard fits else { throw error(.deallocate, .noSpace, at: offset) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The producing end of one ring: the guest for guest → host rings, the host for the others. The same code serves both.
///
/// Writing has two phases. `write` copies packets in behind a private cursor, invisible to the peer; `commit` publishes
/// all of them at once and says whether to signal. One thread at a time uses a writer.
@safe
public struct RingWriter<Storage: RingStorage>: ~Copyable {
  @usableFromInline let control: RingControl
  @usableFromInline let storage: Storage
  @usableFromInline let geometry: RingGeometry
  /// Next byte to write.
  @usableFromInline var cursor: UInt32
  /// The write index as the peer sees it.
  @usableFromInline var committed: UInt32
  /// Bytes not in use, as of the last look at the read index. Only grows by such a look.
  @usableFromInline var free: UInt32
  /// What `requestSpace` put into the header page.
  @usableFromInline var requested: UInt32

  /// Goes on at the write index found in the header page, which is 0 after a channel's open.
  @inlinable
  public init(control: RingControl, storage: Storage) throws(RingError) {
    let geometry = try RingGeometry(byteCount: storage.byteCount)
    let index = control.writeIndex
    guard geometry.accepts(index) else { throw .corrupt(.writeIndex(index)) }
    self.control = control
    self.storage = storage
    self.geometry = geometry
    cursor = index
    committed = index
    free = 0
    requested = 0
  }

  /// Looks at the reader's progress.
  @inlinable
  mutating func refresh() throws(RingError) {
    let read = control.readIndex
    guard geometry.accepts(read) else { throw .corrupt(.readIndex(read)) }
    free = geometry.free(read: read, write: cursor)
  }

  /// Copies one packet in: descriptor, `descriptorTail` (further descriptor data), `payload`, zeros up to a multiple
  /// of 8, trailer. The peer sees it after `commit`.
  @inlinable
  public mutating func write(
    type: PacketType, completionRequested: Bool, transactionID: UInt64, descriptorTail: RawSpan, payload: RawSpan
  ) throws(RingError) {
    let tail = (descriptorTail.byteCount &+ 7) & ~7
    let body = (payload.byteCount &+ 7) & ~7
    // Lengths travel as 16-bit counts of 8 bytes.
    guard tail <= 0x7_FFE8, body <= 0x7_FFE8, tail &+ body <= 0x7_FFE8 else {
      throw .tooLarge(needed: tail &+ body &+ 24)
    }
    let length = UInt32(truncatingIfNeeded: tail &+ body &+ 16)
    let needed = length &+ 8
    if free <= needed { try makeRoom(needed) }
    let start = cursor
    var descriptor = UInt64(type.rawValue)
    descriptor |= UInt64(truncatingIfNeeded: (tail &+ 16) &>> 3) &<< 16
    descriptor |= UInt64(length &>> 3) &<< 32
    if completionRequested { descriptor |= 1 &<< 48 }
    storage.storeWord(descriptor, at: start)
    storage.storeWord(transactionID, at: geometry.advance(start, by: 8))
    var at = geometry.advance(start, by: 16)
    at = copy(descriptorTail, paddedTo: UInt32(truncatingIfNeeded: tail), at: at)
    at = copy(payload, paddedTo: UInt32(truncatingIfNeeded: body), at: at)
    storage.storeWord(UInt64(start) &<< 32, at: at)
    cursor = geometry.advance(at, by: 8)
    free = free &- needed
  }

  /// A packet without further descriptor data.
  @inlinable
  public mutating func write(
    type: PacketType, completionRequested: Bool, transactionID: UInt64, payload: RawSpan
  ) throws(RingError) {
    try write(
      type: type, completionRequested: completionRequested, transactionID: transactionID, descriptorTail: RawSpan(),
      payload: payload)
  }

  @inlinable
  mutating func makeRoom(_ needed: UInt32) throws(RingError) {
    guard needed < geometry.byteCount else { throw .tooLarge(needed: Int(needed)) }
    try refresh()
    // Never fill completely: equal indices mean an empty ring.
    guard free > needed else { throw .full(needed: needed) }
  }

  @inlinable @inline(__always)
  func copy(_ bytes: RawSpan, paddedTo count: UInt32, at offset: UInt32) -> UInt32 {
    if count == 0 { return offset }
    if bytes.byteCount & 7 != 0 { storage.storeWord(0, at: geometry.advance(offset, by: count &- 8)) }
    unsafe bytes.withUnsafeBytes { source in unsafe storage.copyIn(at: offset, from: source) }
    return geometry.advance(offset, by: count)
  }

  /// Publishes all packets since the last commit.
  ///
  /// True: the ring was empty before and the reader wants to know: signal it.
  @inlinable
  public mutating func commit() -> Bool {
    if cursor == committed { return false }
    let before = committed
    control.publishWriteIndex(cursor)
    committed = cursor
    if requested != 0 {
      requested = 0
      control.setPendingSendSize(0)
    }
    // Pairs with the fences of `RingReader.unmaskInterrupts` and `RingReader.commit`: either the reader sees these
    // packets in its last look, or this end sees its mask open and its read index arrived.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if control.interruptMask != 0 { return false }
    return control.readIndex == before
  }

  /// Asks the reader for a signal as soon as more than `bytes` (the error's `needed`) are free. Commit first.
  ///
  /// True: they are free by now and no signal may come: write again. The request ends with the next commit that
  /// publishes something.
  @inlinable @discardableResult
  public mutating func requestSpace(_ bytes: UInt32) -> Bool {
    requested = bytes
    control.setPendingSendSize(bytes)
    // Pairs with the fence of `RingReader.commit`.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let read = control.readIndex
    // A forged index is reported by the `write` that follows.
    guard geometry.accepts(read) else { return true }
    return geometry.free(read: read, write: cursor) > bytes
  }

  /// Writes a packet; where there is no room, publishes what is there and asks for a signal when there is. False: the packet
  /// waits for that signal. `signal` becomes true when the reader is to be signalled, and stays as it is otherwise.
  @inlinable
  public mutating func writeOrRequestSpace(
    type: PacketType, completionRequested: Bool, transactionID: UInt64, descriptorTail: RawSpan, payload: RawSpan,
    signal: inout Bool
  ) throws(RingError) -> Bool {
    while true {
      do throws(RingError) {
        try write(
          type: type, completionRequested: completionRequested, transactionID: transactionID,
          descriptorTail: descriptorTail, payload: payload)
        return true
      } catch {
        guard case .full(let needed) = error else { throw error }
        signal = commit() || signal
        if !requestSpace(needed) { return false }
      }
    }
  }
}

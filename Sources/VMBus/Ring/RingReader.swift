// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The consuming end of one ring: the host for guest → host rings, the guest for the others. The same code serves both.
///
/// Reading has two phases. `next` copies packets out, moving a private cursor that the peer can neither see nor change;
/// `commit` gives the space of all of them back at once. One thread at a time uses a reader.
///
/// A peer can write as fast as this end reads, for ever: who serves several channels on one thread bounds a batch, commits,
/// and comes back while `hasMore`. Without masking, `hasMore` after the commit is the look that loses no wake-up.
///
/// The loop that loses no wake-up: `maskInterrupts`; `next` until nil; `commit` (and signal); `unmaskInterrupts`; when
/// that says true, again from the start.
@safe
public struct RingReader<Storage: RingStorage>: ~Copyable {
  @usableFromInline let control: RingControl
  @usableFromInline let storage: Storage
  @usableFromInline let geometry: RingGeometry
  /// Next byte to read.
  @usableFromInline var cursor: UInt32
  /// The read index as the peer sees it.
  @usableFromInline var committed: UInt32
  /// Bytes in front of the cursor that the peer had published when the write index was last read.
  @usableFromInline var available: UInt32

  /// Goes on at the read index found in the header page, which is 0 after a channel's open.
  @inlinable
  public init(control: RingControl, storage: Storage) throws(RingError) {
    let geometry = try RingGeometry(byteCount: storage.byteCount)
    let index = control.readIndex
    guard geometry.accepts(index) else { throw .corrupt(.readIndex(index)) }
    self.control = control
    self.storage = storage
    self.geometry = geometry
    cursor = index
    committed = index
    available = 0
  }

  /// Copies the next packet, without its trailer, to the start of `buffer`, and moves the cursor behind it.
  ///
  /// nil: nothing more is published. The packet is read from shared memory once; what is returned, and the copy in
  /// `buffer`, agree with each other whatever the peer does meanwhile.
  @inlinable
  public mutating func next(into buffer: UnsafeMutableRawBufferPointer) throws(RingError) -> Packet? {
    if available == 0 {
      let write = control.writeIndex
      if write == cursor { return nil }
      guard geometry.accepts(write) else { throw .corrupt(.writeIndex(write)) }
      available = geometry.used(read: cursor, write: write)
    }
    // `cursor` is a multiple of 8, so this word never wraps. It is the only read of the packet's length.
    let descriptor = storage.loadWord(at: cursor)
    let payloadOffset = UInt32(truncatingIfNeeded: (descriptor &>> 16) & 0xFFFF) &<< 3
    let length = UInt32(truncatingIfNeeded: (descriptor &>> 32) & 0xFFFF) &<< 3
    guard length >= 16, available &- 8 >= length else { throw .corrupt(.packetLength(length)) }
    guard payloadOffset >= 16, payloadOffset <= length else { throw .corrupt(.payloadOffset(payloadOffset)) }
    let count = Int(length)
    guard let base = buffer.baseAddress, buffer.count >= count else { throw .tooLarge(needed: count) }
    unsafe storage.copyOut(at: cursor, to: UnsafeMutableRawBufferPointer(start: base, count: count))
    // The copy of the descriptor may differ from the word that was checked: the checked one wins.
    unsafe base.storeBytes(of: descriptor, as: UInt64.self)
    let transactionID = unsafe base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    cursor = geometry.advance(cursor, by: length &+ 8)
    available = available &- (length &+ 8)
    return Packet(
      type: PacketType(rawValue: UInt16(truncatingIfNeeded: descriptor)),
      completionRequested: descriptor &>> 48 & 1 != 0, transactionID: transactionID,
      payloadOffset: Int(payloadOffset), byteCount: count)
  }

  /// Takes back the last `next`, before the commit: its packet is read again, and its space is not given back. For who
  /// must stop in front of a packet that is at hand already.
  @inlinable
  public mutating func putBack(_ packet: Packet) {
    let count = UInt32(truncatingIfNeeded: packet.byteCount) &+ 8
    // Only what was read since the last commit can come back.
    guard count <= geometry.used(read: committed, write: cursor) else { return }
    cursor = cursor >= count ? cursor &- count : cursor &+ (geometry.byteCount &- count)
    available = available &+ count
  }

  /// Whether the writer has published something that `next` has not returned yet.
  @inlinable public var hasMore: Bool { available != 0 || control.writeIndex != cursor }

  /// Gives the space of all packets since the last commit back to the writer.
  ///
  /// True: the writer waits for space and now has enough: signal it. The crossing is computed over the whole batch, so
  /// that a threshold passed by an earlier packet of the batch counts too.
  @inlinable
  public mutating func commit() -> Bool {
    if cursor == committed { return false }
    let freed = geometry.used(read: committed, write: cursor)
    control.publishReadIndex(cursor)
    committed = cursor
    // Pairs with the fence of `RingWriter.requestSpace`: either the writer sees the new read index, or this end sees
    // the pending size.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let pending = control.pendingSendSize
    if pending == 0 || control.featureBits & RingControl.pendingSendSizeFeature == 0 { return false }
    let write = control.writeIndex
    // `next` reports a forged index; a signal too many is always safe.
    guard geometry.accepts(write) else { return true }
    let free = geometry.free(read: cursor, write: write)
    return free > pending && (free < freed || free &- freed <= pending)
  }

  /// Asks the writer not to signal.
  @inlinable public func maskInterrupts() { control.setInterruptMask(1) }

  /// Asks the writer to signal again. Commit first. True: something arrived meanwhile without a signal; go on reading.
  @inlinable
  public func unmaskInterrupts() -> Bool {
    control.setInterruptMask(0)
    // Pairs with the fence of `RingWriter.commit`: either the writer sees the mask open, or this end sees its packet.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return hasMore
  }
}

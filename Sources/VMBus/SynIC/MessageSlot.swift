// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// One slot of a processor's message page: type u32 @0 (0: free), payload size u8 @4, flags u8 @5 (bit 0: more
/// messages wait), reserved u16, sender u64 @8, payload @16. It holds one message; whoever has more queues them.
///
/// Both ends touch it at the same time, and each must take the other for hostile: the words are atomics, the payload
/// is copied once and only the copy is read.
@safe
public struct MessageSlot {
  @usableFromInline let base: UnsafeMutableRawPointer

  /// `page` is a message page (4096 bytes, page-aligned) that stays mapped while this value is used; `interrupt` is
  /// below 16.
  public init(page: UnsafeMutableRawPointer, interrupt: UInt8 = SynIC.busInterrupt) {
    unsafe base = unsafe page + Int(interrupt & 15) &* SynIC.slotSize
  }

  private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  /// Bit 0 of the flags byte, seen in the little-endian word at byte 4.
  private static let pending: UInt32 = 1 << 8

  // MARK: Host

  /// Puts a message into the slot if it is free; the caller then raises the interrupt. When it is not free the guest
  /// is asked for an end-of-message write, after which the caller tries again. One caller at a time.
  public func deliver(type: UInt32 = SynIC.channelMessageType, payload: RawSpan) -> Bool {
    guard payload.byteCount <= MessageBuffer.capacity else { return false }
    if unsafe word(0).pointee.load(ordering: .acquiring) != 0 {
      // Ask first, then look again: pairs with the guest's "type to 0, fence, look at the flag" in `release`. One of
      // the two sees the other's write.
      _ = unsafe word(4).pointee.bitwiseOr(Self.pending, ordering: .sequentiallyConsistent)
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      if unsafe word(0).pointee.load(ordering: .acquiring) != 0 { return false }
    }
    unsafe payload.withUnsafeBytes { source in
      if let from = source.baseAddress { unsafe (base + 16).copyMemory(from: from, byteCount: source.count) }
    }
    unsafe word(8).pointee.store(0, ordering: .relaxed)
    unsafe word(12).pointee.store(0, ordering: .relaxed)
    // Size, with the flag cleared.
    unsafe word(4).pointee.store(UInt32(truncatingIfNeeded: payload.byteCount), ordering: .relaxed)
    // Last, and releasing: pairs with the guest's acquiring load in `read`.
    unsafe word(0).pointee.store(type, ordering: .releasing)
    return true
  }

  // MARK: Guest

  /// The message type; 0: the slot is free.
  public var type: UInt32 { unsafe word(0).pointee.load(ordering: .acquiring) }

  /// A private copy of the payload. Fails on a size above 240, which no host of good will writes.
  public func copyPayload() throws(WireError) -> MessageBuffer {
    let count = Int(unsafe word(4).pointee.load(ordering: .relaxed) & 0xFF)
    guard count <= MessageBuffer.capacity else { throw .invalid(offset: 4) }
    return try unsafe MessageBuffer(RawSpan(_unsafeStart: base + 16, byteCount: count))
  }

  /// Frees the slot. True: another message waits, write the end-of-message register.
  public func release() -> Bool {
    unsafe word(0).pointee.store(0, ordering: .releasing)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return unsafe word(4).pointee.load(ordering: .relaxed) & Self.pending != 0
  }
}

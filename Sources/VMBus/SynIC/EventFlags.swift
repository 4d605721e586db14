// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The event flags of one synthetic interrupt of a processor: 2048 bits, bit n is byte n/8 bit n%8. The host sets the
/// bit of a channel and raises the interrupt; the guest clears it and looks at the channel's ring.
@safe
public struct EventFlags {
  @usableFromInline let base: UnsafeMutableRawPointer

  /// `page` is an event flags page (4096 bytes, page-aligned) that stays mapped while this value is used; `interrupt`
  /// is below 16.
  public init(page: UnsafeMutableRawPointer, interrupt: UInt8 = SynIC.busInterrupt) {
    unsafe base = unsafe page + Int(interrupt & 15) &* SynIC.slotSize
  }

  private func word(_ index: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe (base + Int(index & 31) &* 8).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// Host: sets a flag, below 2048. True: it was clear, raise the interrupt. Releases what was written to the ring
  /// before; pairs with `take`.
  @discardableResult
  public func set(_ flag: UInt32) -> Bool {
    guard flag < SynIC.flagCount else { return false }
    let bit = (1 as UInt64) << UInt64(flag & 63)
    return unsafe word(flag >> 6).pointee.bitwiseOr(bit, ordering: .acquiringAndReleasing).oldValue & bit == 0
  }

  /// Guest: 64 flags from `64 * index` on, and clears them. `index` is below 32.
  public func take(word index: UInt32) -> UInt64 {
    // Most words are 0 most of the time: a plain look is cheaper than an exchange, and a flag set in between raises
    // its own interrupt.
    if unsafe word(index).pointee.load(ordering: .relaxed) == 0 { return 0 }
    return unsafe word(index).pointee.exchange(0, ordering: .acquiringAndReleasing)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization
import VMBus

/// The one message slot of SINT2 in a processor's message page (SIMP), seen from the host (TLFS 11.8; Linux frees a slot
/// by exchanging the type with 0, a full barrier, and an EOM if it then sees the pending flag).
///
/// The guest may write any byte of it at any time; the host never reads anything back but the type.
@safe struct MessageSlot {
  static let byteCount = 256
  static let payloadLimit = 240
  /// The type of a VMBus message.
  static let busMessage: UInt32 = 1

  private let base: UnsafeMutableRawPointer

  /// `page` is the host's address of the message page.
  init(page: UnsafeMutableRawPointer, sint: Int) { unsafe base = page + sint * Self.byteCount }

  private var type: UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe base.assumingMemoryBound(to: Atomic<UInt32>.self)
  }
  private var flags: UnsafeMutablePointer<Atomic<UInt8>> {
    unsafe (base + 5).assumingMemoryBound(to: Atomic<UInt8>.self)
  }

  var isFree: Bool { unsafe type.pointee.load(ordering: .acquiring) == 0 }

  /// Fills the slot if it is free: payload first, type last. False: the guest has been told to report (EOM) when it
  /// frees the slot.
  func post(_ payload: RawSpan) -> Bool {
    if !isFree {
      // Pairs with the guest's barrier between freeing the slot and reading the flag: one of the two sees the other.
      _ = unsafe flags.pointee.bitwiseOr(1, ordering: .sequentiallyConsistent)
      guard unsafe type.pointee.load(ordering: .sequentiallyConsistent) == 0 else { return false }
    }
    let count = min(payload.byteCount, Self.payloadLimit)
    unsafe payload.withUnsafeBytes { source in
      if let from = source.baseAddress { unsafe (base + 16).copyMemory(from: from, byteCount: count) }
    }
    unsafe (base + 4).storeBytes(of: UInt8(count), as: UInt8.self)
    unsafe flags.pointee.store(0, ordering: .relaxed)
    unsafe (base + 6).storeBytes(of: 0, as: UInt16.self)
    unsafe (base + 8).storeBytes(of: 0, as: UInt64.self)
    unsafe type.pointee.store(Self.busMessage, ordering: .releasing)
    return true
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The 2048 event flags of SINT2 in a processor's event flags page (SIEFP), seen from the host (TLFS 11.9).
@safe struct EventFlags {
  static let count: UInt32 = 2048
  static let byteCount = 256
  static let wordCount = 32

  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// `page` is the host's address of the event flags page.
  init(page: UnsafeMutableRawPointer, sint: Int) {
    unsafe words = (page + sint * Self.byteCount).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// Sets `flag`; true if it was clear, so that the guest must be interrupted. The guest clears flags atomically and
  /// looks at the ring afterwards: hence the release.
  func set(_ flag: UInt32) -> Bool {
    guard flag < Self.count else { return false }
    let bit: UInt64 = 1 << UInt64(flag % 64)
    return unsafe words[Int(flag / 64)].bitwiseOr(bit, ordering: .acquiringAndReleasing).oldValue & bit == 0
  }

  /// Sets all flags of `bits` in word `word`.
  func set(_ bits: UInt64, inWord word: Int) {
    guard word >= 0, word < Self.wordCount, bits != 0 else { return }
    _ = unsafe words[word].bitwiseOr(bits, ordering: .acquiringAndReleasing)
  }
}

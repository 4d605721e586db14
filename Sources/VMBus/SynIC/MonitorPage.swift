// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A monitor page, over which channels can be signalled without a hypercall: 4 groups of 32 bits that say "look at me", and
/// for each bit how soon the other end looks and whom it tells. (Top-Level Functional Specification, "monitors"; hosts of
/// today offer no channel that uses them.)
@safe
public struct MonitorPage {
  /// Monitors of a page, numbered from 0.
  public static let monitorCount: UInt8 = 128
  /// Groups of 32 monitors.
  public static let groupCount: UInt8 = 4

  @usableFromInline let base: UnsafeMutableRawPointer

  /// `page` is a page (4096 bytes, page-aligned) that stays mapped while this value is used.
  public init(page: UnsafeMutableRawPointer) { unsafe base = page }

  /// The pending bits of a group, at byte 8 + 8 × group; of which there are four.
  private func group(_ index: UInt8) -> UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe (base + (8 &+ 8 &* Int(index & 3))).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  /// The pending bits of a monitor's group.
  public func pending(_ monitor: UInt8) -> UInt32 {
    unsafe group(monitor >> 5).pointee.load(ordering: .relaxed)
  }

  /// One end: asks the other to look at a monitor, below 128. Releases what was written to the ring before; pairs with
  /// `take`.
  public func raise(_ monitor: UInt8) {
    _ = unsafe group(monitor >> 5).pointee.bitwiseOr(1 << UInt32(monitor & 31), ordering: .acquiringAndReleasing)
  }

  /// The other end: the pending bits of a group, below 4, and clears them.
  public func take(group index: UInt8) -> UInt32 {
    // Most looks find nothing: a plain one is cheaper than an exchange, and there is another look soon.
    if unsafe group(index).pointee.load(ordering: .relaxed) == 0 { return 0 }
    return unsafe group(index).pointee.exchange(0, ordering: .acquiringAndReleasing)
  }

  /// How long the other end may take to look, in units of 100 ns: 16 bits each, from byte 0x240 on.
  public func latency(_ monitor: UInt8) -> UInt16 {
    unsafe UInt16(littleEndian: (base + (0x240 &+ 2 &* Int(monitor & 127))).load(as: UInt16.self))
  }

  /// Whom the other end tells: 8 bytes each from byte 0x440 on, of which 24 bits are the connection.
  public func connection(_ monitor: UInt8) -> UInt32 { read(at: 0x440 &+ 8 &* Int(monitor & 127)) & 0xFF_FFFF }

  private func read(at offset: Int) -> UInt32 { unsafe UInt32(littleEndian: (base + offset).load(as: UInt32.self)) }
}

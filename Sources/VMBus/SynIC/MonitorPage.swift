// SPDX-License-Identifier: Apache-2.0

/// A monitor page, over which channels can be signalled without a hypercall: 4 groups of 32 bits that say "look at me", and
/// for each bit how soon the other end looks and whom it tells. (Top-Level Functional Specification, "monitors"; hosts of
/// today offer no channel that uses them.)
@safe
public struct MonitorPage {
  @usableFromInline let base: UnsafeMutableRawPointer

  /// `page` is a page (4096 bytes, page-aligned) that stays mapped while this value is used.
  public init(page: UnsafeMutableRawPointer) { unsafe base = page }

  /// The pending bits of a monitor's group, at byte 8 + 8 × group; of which there are four.
  public func pending(_ monitor: UInt8) -> UInt32 { read(at: 8 &+ 8 &* Int(monitor >> 5 & 3)) }

  /// How long the other end may take to look, in units of 100 ns: 16 bits each, from byte 0x240 on.
  public func latency(_ monitor: UInt8) -> UInt16 {
    unsafe UInt16(littleEndian: (base + (0x240 &+ 2 &* Int(monitor & 127))).load(as: UInt16.self))
  }

  /// Whom the other end tells: 8 bytes each from byte 0x440 on, of which 24 bits are the connection.
  public func connection(_ monitor: UInt8) -> UInt32 { read(at: 0x440 &+ 8 &* Int(monitor & 127)) & 0xFF_FFFF }

  private func read(at offset: Int) -> UInt32 { unsafe UInt32(littleEndian: (base + offset).load(as: UInt32.self)) }
}

// SPDX-License-Identifier: Apache-2.0

/// What the hypervisor itself checks in a hypercall before the bus sees it (TLFS, chapters 3 and 11).
enum Hypercall {
  /// Connection ids have 24 bits; the rest is reserved.
  static let connectionMask: UInt32 = 0x00FF_FFFF

  /// Whether the parameters are in registers.
  static func isFast(_ control: UInt64) -> Bool { control & 1 << 16 != 0 }

  /// Whether an input block may lie at `address`: 8-aligned and within one page.
  static func isUsable(_ address: UInt64, byteCount: Int) -> Bool {
    address & 7 == 0 && address & 0xFFF <= 4096 - UInt64(byteCount)
  }

  /// A message type of 0 would mean a free slot; the top bit marks the hypervisor's own messages.
  static func isUsable(messageType: UInt32) -> Bool { messageType != 0 && messageType & 0x8000_0000 == 0 }
}

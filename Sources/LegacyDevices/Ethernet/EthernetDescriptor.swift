// SPDX-License-Identifier: Apache-2.0

/// One descriptor of a ring or chain: four words, of which the guest may change each at any moment (21140A reference
/// manual, 4.2). Read once; only the copy is used.
struct EthernetDescriptor: Equatable, Sendable {
  static let byteCount: UInt32 = 16
  /// In the first word: the controller's, otherwise the driver's.
  static let owned: UInt32 = 1 << 31
  /// In the second word: the list begins anew after this one.
  static let endOfRing: UInt32 = 1 << 25
  /// In the second word: the second address is the next descriptor's.
  static let chained: UInt32 = 1 << 24

  var position: UInt32
  var control: UInt32
  var first: UInt32
  var second: UInt32

  var firstByteCount: Int { Int(control & 0x7FF) }
  /// None in a chain.
  var secondByteCount: Int { control & Self.chained != 0 ? 0 : Int(control >> 11 & 0x7FF) }

  /// nil: the rest of it is not RAM.
  init?(at position: UInt32, memory: some DeviceMemory) {
    guard let control = memory.load(position &+ 4), let first = memory.load(position &+ 8),
      let second = memory.load(position &+ 12)
    else { return nil }
    self.position = position
    self.control = control
    self.first = first
    self.second = second
  }

  /// Where the next one is. `base`: of the list; `skip`: bytes between two of a ring.
  func next(base: UInt32, skip: UInt32) -> UInt32 {
    if control & Self.endOfRing != 0 { return base }
    if control & Self.chained != 0 { return second & ~3 }
    return position &+ Self.byteCount &+ skip
  }
}

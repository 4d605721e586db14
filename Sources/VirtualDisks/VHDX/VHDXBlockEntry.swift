// SPDX-License-Identifier: Apache-2.0

/// One entry of the block table ([MS-VHDX] 2.5.1): state in bits 0–2, place in the file in bits 20–63.
struct VHDXBlockEntry: RawRepresentable, Equatable, Sendable {
  /// A code out of the file: any value may come. 4 and 5 are reserved.
  struct State: RawRepresentable, Equatable, Sendable {
    var rawValue: UInt64
    /// Never written: the parent shows through, or it reads as zeroes.
    static let notPresent = State(rawValue: 0)
    static let undefined = State(rawValue: 1)
    static let zero = State(rawValue: 2)
    static let unmapped = State(rawValue: 3)
    static let fullyPresent = State(rawValue: 6)
    /// Only over a parent: the sector bitmap says which sectors are here.
    static let partiallyPresent = State(rawValue: 7)

    var isKnown: Bool { rawValue <= 3 || rawValue >= 6 }
    var hasSpace: Bool { rawValue >= 6 }
  }

  var rawValue: UInt64

  init(rawValue: UInt64) { self.rawValue = rawValue }

  init(_ state: State, at offset: UInt64 = 0) { rawValue = offset & ~0xF_FFFF | state.rawValue }

  static let placeMask: UInt64 = ~0xF_FFFF
  var state: State { State(rawValue: rawValue & 7) }
  /// Byte offset in the file, a multiple of 1 MiB. Counts only when the state has space; other states may keep an old one.
  var offset: UInt64 { rawValue & Self.placeMask }
  var hasReservedBits: Bool { rawValue & 0xF_FFF8 != 0 }
}

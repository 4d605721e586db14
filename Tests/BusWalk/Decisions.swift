// SPDX-License-Identifier: Apache-2.0

/// Where a walk gets its decisions from: a random number generator in a test, the input in a fuzzer.
public protocol Decisions {
  /// Any value.
  mutating func word() -> UInt64
  /// 0 ..< `count`, which is at least 1.
  mutating func choice(_ count: Int) -> Int
}

extension Decisions {

  public mutating func oneIn(_ count: Int) -> Bool { choice(count) == 0 }

  mutating func element<C: RandomAccessCollection>(of collection: C) -> C.Element? where C.Index == Int {
    collection.isEmpty ? nil : collection[collection.startIndex + choice(collection.count)]
  }
}

/// SplitMix64: small, and the same sequence everywhere, so that a failing walk can be walked again.
public struct RandomDecisions: Decisions {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func choice(_ count: Int) -> Int { Int(word() % UInt64(max(count, 1))) }

  public mutating func word() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The key of a Toeplitz hash: 40 bytes, enough for two IPv6 addresses and two ports.
///
/// The hash of bits b0, b1, … is the exclusive or, over all i where bi is 1, of the key's 32 bits from bit i on.
public struct ToeplitzKey: Sendable {
  public static let wireSize = 40

  /// Big-endian, a zero behind it, so that 64 bits can be taken at each word.
  @usableFromInline var words: InlineArray<11, UInt32>

  /// The first 40 bytes.
  public init(decoding bytes: RawSpan) throws(WireError) {
    words = InlineArray(repeating: 0)
    for index in 0..<10 { words[index] = try bytes.read(UInt32.self, at: index &* 4).byteSwapped }
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    for index in 0..<10 { try bytes.write(words[index].byteSwapped, at: offset &+ index &* 4) }
  }

  /// The key's share of the hash for 32 bits of input that begin at bit `32 * index` of it. `index` is below 10.
  @inlinable
  public func hash(_ input: UInt32, at index: Int) -> UInt32 {
    var window = UInt64(words[index]) &<< 32 | UInt64(words[index &+ 1])
    var bits = input
    var hash: UInt32 = 0
    while bits != 0 {
      let skipped = bits.leadingZeroBitCount
      window = window &<< UInt64(skipped)
      hash ^= UInt32(truncatingIfNeeded: window &>> 32)
      window = window &<< 1
      // A shift by 32 in all, when only the last bit was set, leaves nothing.
      bits = skipped == 31 ? 0 : bits &<< UInt32(skipped &+ 1)
    }
    return hash
  }
}

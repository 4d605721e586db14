// SPDX-License-Identifier: Apache-2.0

/// The 120 bytes that an offer or an opening carries for the device; only the device knows what they mean.
public struct UserData: Equatable, Sendable {
  public static let wireSize = 120

  /// Read little-endian.
  public var words: InlineArray<15, UInt64>

  public init() { words = InlineArray(repeating: 0) }

  public init(decoding bytes: RawSpan, at offset: Int) throws(WireError) {
    words = InlineArray(repeating: 0)
    for index in 0..<15 {
      words[index] = try bytes.read(UInt64.self, at: offset &+ index &* 8)
    }
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    for index in 0..<15 {
      try bytes.write(words[index], at: offset &+ index &* 8)
    }
  }

  public static func == (a: Self, b: Self) -> Bool {
    for index in 0..<15 where a.words[index] != b.words[index] { return false }
    return true
  }
}

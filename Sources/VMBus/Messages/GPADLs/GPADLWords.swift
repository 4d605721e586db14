// SPDX-License-Identifier: Apache-2.0

/// The part of a GPADL's ranges that one message carries: 64-bit words, held in place.
public struct GPADLWords: Equatable, Sendable {
  public static let capacity = 28

  @usableFromInline var storage: InlineArray<28, UInt64>
  /// 0…28.
  public private(set) var count: Int

  public init() {
    storage = InlineArray(repeating: 0)
    count = 0
  }

  /// All whole words from byte `offset` to the end of the message, up to `limit`.
  init(decoding bytes: RawSpan, from offset: Int, limit: Int) throws(WireError) {
    self.init()
    guard bytes.byteCount >= offset else { throw .truncated(needed: offset, available: bytes.byteCount) }
    let available = min((bytes.byteCount &- offset) / 8, limit)
    while count < available {
      storage[count] = try bytes.read(UInt64.self, at: offset &+ count &* 8)
      count &+= 1
    }
  }

  @_lifetime(bytes: copy bytes)
  func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    for index in 0..<count {
      try bytes.write(storage[index], at: offset &+ index &* 8)
    }
  }

  /// False when there is no room left.
  public mutating func append(_ word: UInt64) -> Bool {
    guard count < Self.capacity else { return false }
    storage[count] = word
    count &+= 1
    return true
  }

  /// `index` is below `count`.
  public subscript(index: Int) -> UInt64 { storage[index] }

  public static func == (a: Self, b: Self) -> Bool {
    guard a.count == b.count else { return false }
    for index in 0..<a.count where a.storage[index] != b.storage[index] { return false }
    return true
  }
}

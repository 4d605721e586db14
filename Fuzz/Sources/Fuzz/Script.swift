// SPDX-License-Identifier: Apache-2.0

/// The fuzzer's input as a sequence of decisions. A target asks for what it needs and builds well-formed things out of
/// it, so that most inputs get past the first check; when the input is used up every answer is 0 and `isEmpty` says so.
struct Script {
  private let bytes: [UInt8]
  private var position = 0

  init(_ input: UnsafeRawBufferPointer) { bytes = unsafe Array(input) }

  var isEmpty: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard position < bytes.count else { return 0 }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func word16() -> UInt16 { UInt16(byte()) | UInt16(byte()) << 8 }
  mutating func word32() -> UInt32 { UInt32(word16()) | UInt32(word16()) << 16 }
  mutating func word64() -> UInt64 { UInt64(word32()) | UInt64(word32()) << 32 }

  /// 0 ..< `limit`, at most 256.
  mutating func choice(_ limit: Int) -> Int { Int(byte()) % limit }

  /// True in one of `n` cases.
  mutating func oneIn(_ n: Int) -> Bool { Int(byte()) % n == n - 1 }

  /// `usual` in most cases; otherwise a boundary value or any value.
  mutating func mostly<T: FixedWidthInteger>(_ usual: T) -> T {
    switch byte() {
    case 0..<224: usual
    case 224..<228: 0
    case 228..<232: .max
    case 232..<236: usual &+ 1
    case 236..<240: usual &- 1
    case 240..<244: T(1) << (T.bitWidth - 1)
    default: T(truncatingIfNeeded: word64())
    }
  }

  /// Up to `limit` bytes, shorter when the input ends.
  mutating func take(_ limit: Int) -> [UInt8] {
    let end = min(bytes.count, position + max(0, limit))
    defer { position = max(position, end) }
    return position < end ? Array(bytes[position..<end]) : []
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Bytes of our own making that are filled in by offset, little-endian. Offsets are constants of ours: a wrong one is a
/// programming fault and stops.
struct ByteImage: Sendable {
  private(set) var bytes: [UInt8]

  init(count: Int) { bytes = [UInt8](repeating: 0, count: count) }

  mutating func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    for index in 0..<MemoryLayout<T>.size {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T(index * 8))
    }
  }

  mutating func put(_ source: [UInt8], at offset: Int) {
    bytes.replaceSubrange(offset..<offset + source.count, with: source)
  }

  /// Sets the byte at `offset` so that bytes `range` sum up to 0.
  mutating func putChecksum(at offset: Int, over range: Range<Int>) {
    bytes[offset] = 0
    bytes[offset] = 0 &- bytes[range].reduce(0, &+)
  }
}

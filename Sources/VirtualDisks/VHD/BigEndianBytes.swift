// SPDX-License-Identifier: Apache-2.0

/// Big-endian fields of a VHD structure, which all have a fixed size. Offsets are constants of the format, never values
/// from a file, and lie inside.
struct BigEndianBytes {
  var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }
  init(zeroes count: Int) { bytes = [UInt8](repeating: 0, count: count) }

  func read<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type, at offset: Int) -> T {
    bytes[offset..<offset + MemoryLayout<T>.size].reduce(0) { $0 << 8 | T($1) }
  }

  mutating func write<T: FixedWidthInteger & UnsignedInteger>(_ value: T, at offset: Int) {
    let size = MemoryLayout<T>.size
    for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * (size - 1 - index))) }
  }

  func slice(at offset: Int, count: Int) -> [UInt8] { Array(bytes[offset..<offset + count]) }

  mutating func write(_ values: [UInt8], at offset: Int) {
    bytes.replaceSubrange(offset..<offset + values.count, with: values)
  }

  /// The checksum of VHD's structures: the complement of the sum of all bytes, those of the checksum itself left out.
  func checksum(except field: Int) -> UInt32 {
    var sum: UInt32 = 0
    for (index, byte) in bytes.enumerated() where index < field || index >= field + 4 { sum &+= UInt32(byte) }
    return ~sum
  }
}

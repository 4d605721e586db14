// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import VMBus

// Little- and big-endian fields of structures that were read whole: the offsets are ours, not the file's, so a wrong one
// is a mistake in this program and traps. Offsets that come out of a file are checked before they get here.

extension Array where Element == UInt8 {
  func little<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
    precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
    return unsafe withUnsafeBytes { unsafe T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }

  mutating func setLittle<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
    unsafe withUnsafeMutableBytes { unsafe $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self) }
  }

  func guid(at offset: Int) -> GUID {
    GUID(low: little(UInt64.self, at: offset), high: little(UInt64.self, at: offset + 8))
  }

  mutating func setGUID(_ value: GUID, at offset: Int) {
    setLittle(value.low, at: offset)
    setLittle(value.high, at: offset + 8)
  }

  /// All zero, or empty.
  var isZero: Bool {
    unsafe withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return true }
      return unsafe bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
    }
  }

  /// CRC-32C of all of it, reading the four bytes at `hole` as zero: where the checksum itself lies.
  func checksum(skippingFieldAt hole: Int) -> UInt32 {
    var crc = CRC32C()
    unsafe withUnsafeBytes { bytes in
      unsafe crc.add(UnsafeRawBufferPointer(rebasing: bytes[..<hole]))
      crc.add(zeroes: 4)
      unsafe crc.add(UnsafeRawBufferPointer(rebasing: bytes[(hole + 4)...]))
    }
    return crc.value
  }
}

/// CRC-32C (Castagnoli), piece by piece.
struct CRC32C {
  private(set) var value: UInt32 = 0

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    value = unsafe clinux_crc32c(value, base, bytes.count)
  }

  mutating func add(zeroes count: Int) {
    let zeroes: [UInt8] = Array(repeating: 0, count: count)
    unsafe zeroes.withUnsafeBytes { unsafe add($0) }
  }
}

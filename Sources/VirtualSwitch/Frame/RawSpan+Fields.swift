// SPDX-License-Identifier: Apache-2.0

/// Fields of headers that were cut off somewhere: a byte that is not there reads as 0. Callers look at `byteCount` where
/// the difference matters.
extension RawSpan {
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 {
    guard offset >= 0, offset < byteCount else { return 0 }
    return unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// Big-endian.
  @inline(__always)
  func word(_ offset: Int) -> UInt16 { UInt16(byte(offset)) << 8 | UInt16(byte(offset &+ 1)) }

  @inline(__always)
  func address(_ offset: Int) -> MACAddress {
    MACAddress(
      rawValue: UInt64(word(offset)) << 32 | UInt64(word(offset &+ 2)) << 16 | UInt64(word(offset &+ 4)))
  }
}

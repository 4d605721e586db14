// SPDX-License-Identifier: Apache-2.0

/// A GUID in wire order: the first three fields little-endian, the last eight bytes in order.
public struct GUID: Hashable, Sendable {
  public static let wireSize = 16
  /// Bytes 0–7, read little-endian.
  public var low: UInt64
  /// Bytes 8–15, read little-endian.
  public var high: UInt64

  @inlinable public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// From the groups of the text form, e.g. `GUID(0xf8615163, 0xdf3e, 0x46c5, 0x913f, 0xf2d2_f965_ed0e)`.
  @inlinable public init(_ a: UInt32, _ b: UInt16, _ c: UInt16, _ d: UInt16, _ e: UInt64) {
    low = UInt64(a) | UInt64(b) << 32 | UInt64(c) << 48
    high = (UInt64(d) << 48 | (e & 0xFFFF_FFFF_FFFF)).byteSwapped
  }

  public init(decoding bytes: RawSpan, at offset: Int) throws(WireError) {
    low = try bytes.read(UInt64.self, at: offset)
    high = try bytes.read(UInt64.self, at: offset &+ 8)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    try bytes.write(low, at: offset)
    try bytes.write(high, at: offset &+ 8)
  }
}

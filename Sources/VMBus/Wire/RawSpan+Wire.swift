// SPDX-License-Identifier: Apache-2.0

// Checked little-endian access at byte offsets: the only place of the wire layer that uses unchecked loads and stores.
// Offsets, not Swift structs, describe wire layouts, because Swift's struct layout is not C's.

extension RawSpan {
  /// The little-endian integer at byte `offset`, at any alignment.
  @inlinable @inline(__always)
  public func read<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, at offset: Int
  ) throws(WireError) -> T {
    let size = MemoryLayout<T>.size
    guard offset >= 0, offset <= byteCount, byteCount &- offset >= size else {
      throw .truncated(needed: offset &+ size, available: byteCount)
    }
    return T(littleEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self))
  }

  /// `count` bytes from byte `offset` on.
  @inlinable @inline(__always) @_lifetime(copy self)
  public func slice(at offset: Int, count: Int) throws(WireError) -> RawSpan {
    guard offset >= 0, count >= 0, offset <= byteCount, byteCount &- offset >= count else {
      throw .truncated(needed: offset &+ count, available: byteCount)
    }
    return unsafe extracting(unchecked: Range(uncheckedBounds: (offset, offset &+ count)))
  }
}

extension MutableRawSpan {
  /// Stores `value` little-endian at byte `offset`, at any alignment.
  @inlinable @inline(__always) @_lifetime(self: copy self)
  public mutating func write<T: FixedWidthInteger & BitwiseCopyable>(
    _ value: T, at offset: Int
  ) throws(WireError) {
    let size = MemoryLayout<T>.size
    guard offset >= 0, offset <= byteCount, byteCount &- offset >= size else {
      throw .truncated(needed: offset &+ size, available: byteCount)
    }
    unsafe storeBytes(of: value.littleEndian, toUncheckedByteOffset: offset, as: T.self)
  }

  /// Copies all of `bytes` to byte `offset`.
  @inlinable @inline(__always) @_lifetime(self: copy self)
  public mutating func write(_ bytes: RawSpan, at offset: Int) throws(WireError) {
    guard offset >= 0, offset <= byteCount, byteCount &- offset >= bytes.byteCount else {
      throw .truncated(needed: offset &+ bytes.byteCount, available: byteCount)
    }
    let count = bytes.byteCount
    unsafe self.withUnsafeMutableBytes { destination in
      unsafe bytes.withUnsafeBytes { source in
        if let to = destination.baseAddress, let from = source.baseAddress {
          unsafe (to + offset).copyMemory(from: from, byteCount: count)
        }
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Index arithmetic over a data area of `byteCount` bytes. All values are private copies; nothing overflows, since
/// `byteCount` is at most 2^31 and every index is below it.
public struct RingGeometry: Sendable {
  public let byteCount: UInt32

  @inlinable public init(byteCount: UInt32) throws(RingError) {
    guard byteCount >= 8, byteCount <= 1 << 31, byteCount & 7 == 0 else { throw .corrupt(.dataSize(byteCount)) }
    self.byteCount = byteCount
  }

  /// Whether an index that the peer wrote may be used at all.
  @inlinable @inline(__always)
  public func accepts(_ index: UInt32) -> Bool { index < byteCount && index & 7 == 0 }

  /// Bytes that lie between the reader and the writer.
  @inlinable @inline(__always)
  public func used(read: UInt32, write: UInt32) -> UInt32 {
    write >= read ? write &- read : byteCount &- (read &- write)
  }

  /// Bytes that are not in use. A writer never takes all of them, since equal indices mean empty.
  @inlinable @inline(__always)
  public func free(read: UInt32, write: UInt32) -> UInt32 { byteCount &- used(read: read, write: write) }

  /// `index` moved on by `count`, which is at most `byteCount`.
  @inlinable @inline(__always)
  public func advance(_ index: UInt32, by count: UInt32) -> UInt32 {
    let next = index &+ count
    return next >= byteCount ? next &- byteCount : next
  }
}

// SPDX-License-Identifier: Apache-2.0

/// A run of guest physical memory without a gap.
public struct GPASegment: Equatable, Sendable {
  /// Guest physical address of the first byte. Whether the guest has memory there is the memory's business.
  public let address: UInt64
  /// Not 0. `address + byteCount` is at most 2^64.
  public let byteCount: UInt64

  @inlinable
  public init(address: UInt64, byteCount: UInt64) {
    self.address = address
    self.byteCount = byteCount
  }
}

/// The memory of a GPA-direct packet in order, neighbouring pages of a range joined, at most `limit` bytes of it: what
/// becomes a scatter list.
public struct GPASegments: Sendable {
  @usableFromInline var ranges: GPADirectRanges
  @usableFromInline var range: GPARange
  /// The next page of `range`.
  @usableFromInline var page: Int
  /// Bytes of `range`, and of the whole, that are still to come.
  @usableFromInline var left: UInt64
  @usableFromInline var limit: UInt64

  @inlinable
  public init(_ ranges: GPADirectRanges, limit: UInt64 = .max) {
    self.ranges = ranges
    self.limit = limit
    range = GPARange(byteCount: 0, byteOffset: 0, pageCount: 0, listOffset: 0)
    page = 0
    left = 0
  }

  /// The next run; nil after the last one. `bytes` is the copy that the ranges were made from.
  @inlinable
  public mutating func next(in bytes: RawSpan) throws(RingError) -> GPASegment? {
    while left == 0 {
      guard limit > 0, let following = try ranges.next(in: bytes) else { return nil }
      range = following
      page = 0
      left = min(UInt64(following.byteCount), limit)
      limit &-= left
    }
    var frame = try range.pageFrame(at: page, in: bytes)
    let offset = page == 0 ? UInt64(range.byteOffset) : 0
    let address = frame &<< 12 | offset
    var count = min(4096 &- offset, left)
    page &+= 1
    left &-= count
    while left > 0 {
      let following = try range.pageFrame(at: page, in: bytes)
      guard following == frame &+ 1 else { break }
      frame = following
      let more = min(4096, left)
      count &+= more
      page &+= 1
      left &-= more
    }
    return GPASegment(address: address, byteCount: count)
  }
}

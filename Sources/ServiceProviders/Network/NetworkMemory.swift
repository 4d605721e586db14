// SPDX-License-Identifier: Apache-2.0

import VMBus

/// How a channel reaches the memory of its guest: by copies of a few bytes. What frames are made of beyond their headers
/// it names as `GPASegment`s, and whoever moves frames moves those.
public protocol NetworkMemory: ~Copyable {
  /// Copies `bytes.byteCount` bytes from a guest physical address. False: not all of it is memory.
  func read(_ address: UInt64, into bytes: inout MutableRawSpan) -> Bool
  /// Copies all of `bytes` to a guest physical address. False: not all of it is memory.
  func write(_ address: UInt64, from bytes: RawSpan) -> Bool
}

/// A piece of memory that the guest shares by a GPADL: page numbers, in order.
public struct NetworkBuffer: Hashable, Sendable {
  public let frames: [UInt64]
  /// Bytes from the first page's beginning.
  public let byteCount: UInt64

  /// Of a GPADL with one range that begins at a page's first byte, as guests make them.
  public init(frames: [UInt64], byteCount: UInt64? = nil) {
    self.frames = frames
    self.byteCount = min(byteCount ?? .max, UInt64(frames.count) << 12)
  }

  func apart() -> NetworkBuffer { NetworkBuffer(frames: frames.map { $0 }, byteCount: byteCount) }

  /// The bytes from `offset` on that lie together, at most `limit`; nil: outside.
  @inlinable
  public func run(at offset: UInt64, limit: UInt64) -> GPASegment? {
    guard limit > 0, offset < byteCount, limit <= byteCount &- offset else { return nil }
    var index = Int(truncatingIfNeeded: offset &>> 12)
    let inside = offset & 4095
    var frame = frames[index]
    let address = frame &<< 12 | inside
    var count = min(4096 &- inside, limit)
    while count < limit {
      index &+= 1
      guard frames[index] == frame &+ 1 else { break }
      frame = frame &+ 1
      count &+= min(4096, limit &- count)
    }
    return GPASegment(address: address, byteCount: count)
  }
}

/// What the provider asks of its owner while it answers the guest. The channel at hand is the provider's meanwhile.
public protocol NetworkEnvironment: ~Copyable {
  /// The pages of a GPADL that the guest made for this adapter's first channel; nil: there is none, or it is not one
  /// range of whole pages.
  func buffer(_ id: GPADLID) -> NetworkBuffer?
  /// Of all channels, since the adapter was made.
  var statistics: NetworkStatistics { get }
}

/// What NDIS's statistics say.
public struct NetworkStatistics: Hashable, Sendable {
  public var transmittedFrames: UInt64 = 0
  public var transmittedBytes: UInt64 = 0
  public var receivedFrames: UInt64 = 0
  public var receivedBytes: UInt64 = 0
  /// Frames of the guest that were refused.
  public var transmitErrors: UInt64 = 0
  /// Frames for the guest that did not fit in any way.
  public var receiveErrors: UInt64 = 0
  /// Frames for the guest that found its buffer full.
  public var withoutBuffer: UInt64 = 0

  public init() {}
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A guest's memory: a few pages from frame `firstFrame` on.
public final class GuestPages {
  public static let firstFrame: UInt64 = 0x1000
  public var bytes: [UInt8]
  public var frameCount: Int { bytes.count / 4096 }

  public init(frameCount: Int) { bytes = Array(repeating: 0, count: frameCount * 4096) }

  /// Where a segment lies in `bytes`; nil when not all of it is memory.
  public func place(of segment: GPASegment) -> Range<Int>? {
    let first = Self.firstFrame << 12
    guard segment.address >= first, segment.address - first <= UInt64(bytes.count) else { return nil }
    let offset = Int(segment.address - first)
    guard segment.byteCount <= UInt64(bytes.count - offset) else { return nil }
    return offset..<offset + Int(segment.byteCount)
  }

  /// The first `count` bytes of a buffer, or fewer when it is shorter.
  public func gather(_ places: [Range<Int>], _ count: Int) -> [UInt8] {
    var gathered: [UInt8] = []
    for place in places where gathered.count < count {
      gathered += bytes[place.prefix(count - gathered.count)]
    }
    return gathered
  }

  public func scatter(_ data: some Collection<UInt8>, into places: [Range<Int>]) {
    var rest = data[...]
    for place in places where !rest.isEmpty {
      let part = rest.prefix(place.count)
      bytes.replaceSubrange(place.lowerBound..<place.lowerBound + part.count, with: part)
      rest = rest.dropFirst(place.count)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@Suite struct GPASegmentTests {
  /// A GPA-direct packet with these ranges, and its segments.
  static func segments(
    _ ranges: [(count: UInt32, offset: UInt32, frames: [UInt64])], limit: UInt64 = .max
  ) throws -> [GPASegment] {
    var bytes = [UInt8](repeating: 0, count: 20) + UInt32(ranges.count).wireBytes
    for range in ranges {
      bytes += range.count.wireBytes + range.offset.wireBytes + range.frames.flatMap(\.wireBytes)
    }
    let packet = Packet(
      type: .gpaDirect, completionRequested: true, transactionID: 1, payloadOffset: bytes.count, byteCount: bytes.count)
    var segments = GPASegments(try GPADirectRanges(packet, in: bytes.rawSpan), limit: limit)
    var found: [GPASegment] = []
    while let segment = try segments.next(in: bytes.rawSpan) { found.append(segment) }
    return found
  }

  @Test func neighboursAreJoined() throws {
    #expect(
      try Self.segments([(10000, 100, [5, 6, 7])]) == [GPASegment(address: 5 << 12 | 100, byteCount: 10000)])
    #expect(
      try Self.segments([(8192, 4095, [5, 7, 8])])
        == [GPASegment(address: 5 << 12 | 4095, byteCount: 1), GPASegment(address: 7 << 12, byteCount: 8191)])
  }

  @Test func rangesStaySeparate() throws {
    #expect(
      try Self.segments([(4096, 0, [5]), (4096, 0, [6])])
        == [GPASegment(address: 5 << 12, byteCount: 4096), GPASegment(address: 6 << 12, byteCount: 4096)])
  }

  @Test func emptyRangesAreSkipped() throws {
    #expect(
      try Self.segments([(0, 0, []), (0, 9, [4]), (1, 1, [3])]) == [GPASegment(address: 3 << 12 | 1, byteCount: 1)])
    #expect(try Self.segments([(0, 0, [])]) == [])
  }

  @Test(arguments: [0, 1, 4095, 4096, 4097, 12287, 12288, 99999] as [UInt64]) func limitCutsOff(_ limit: UInt64) throws
  {
    let found = try Self.segments([(8192, 0, [5, 9]), (4096, 0, [20])], limit: limit)
    #expect(found.reduce(0) { $0 + $1.byteCount } == min(limit, 12288))
    #expect(!found.contains { $0.byteCount == 0 })
  }

  @Test func impossibleFrameIsRefused() throws {
    #expect(throws: RingError.self) { try Self.segments([(4096, 0, [1 << 52])]) }
    let last = try Self.segments([(8192, 0, [(1 << 52) - 1, 0])])
    #expect(last.count == 2)
  }
}

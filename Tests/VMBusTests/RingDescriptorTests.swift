// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VMBus

@Suite struct RingDescriptorTests {
  static let boundary: [UInt32] = [0, 1, 7, 8, 4095, 4096, 4097, 0x7FFF_FFFF, 0x8000_0000, .max - 1, .max]

  /// A GPA-direct packet's private copy: `words` behind the range count, then 8 bytes of payload.
  static func gpaDirect(rangeCount: UInt32, _ words: [UInt64]) -> (Packet, [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: 16) + UInt32(0).wireBytes + rangeCount.wireBytes
    for word in words { bytes += word.wireBytes }
    let packet = Packet(
      type: .gpaDirect, completionRequested: true, transactionID: 1, payloadOffset: bytes.count,
      byteCount: bytes.count + 8)
    return (packet, bytes + [UInt8](repeating: 0x55, count: 8))
  }

  static func range(_ byteCount: UInt32, _ byteOffset: UInt32) -> UInt64 {
    UInt64(byteCount) | UInt64(byteOffset) << 32
  }

  @Test func oneRangeOfManyPages() throws {
    let (packet, bytes) = Self.gpaDirect(rangeCount: 1, [Self.range(0x2001, 0xFFF), 10, 20, 30])
    var ranges = try GPADirectRanges(packet, in: bytes.rawSpan)
    #expect(ranges.rangeCount == 1)
    #expect(ranges.byteCount == 0x2001)
    let range = try #require(try ranges.next(in: bytes.rawSpan))
    #expect(range.pageCount == 3)
    #expect(range.byteOffset == 0xFFF)
    #expect(try (0..<3).map { try range.pageFrame(at: $0, in: bytes.rawSpan) } == [10, 20, 30])
    #expect(throws: RingError.self) { try range.pageFrame(at: 3, in: bytes.rawSpan) }
    #expect(throws: RingError.self) { try range.pageFrame(at: -1, in: bytes.rawSpan) }
    #expect(try ranges.next(in: bytes.rawSpan) == nil)
  }

  /// As a network stack sends them, an empty fragment among them.
  @Test func mixedRanges() throws {
    let (packet, bytes) = Self.gpaDirect(
      rangeCount: 4,
      [
        Self.range(100, 4000), 1, 2, Self.range(0, 0), Self.range(0, 5), 3, Self.range(4096, 0), 4,
      ])
    var ranges = try GPADirectRanges(packet, in: bytes.rawSpan)
    #expect(ranges.byteCount == 4196)
    var pages: [Int] = []
    while let range = try ranges.next(in: bytes.rawSpan) { pages.append(range.pageCount) }
    #expect(pages == [2, 0, 1, 1])
  }

  @Test func rangeCountLies() throws {
    for count in Self.boundary {
      let (packet, bytes) = Self.gpaDirect(rangeCount: count, [Self.range(1, 0), 1])
      if count == 1 {
        #expect(try GPADirectRanges(packet, in: bytes.rawSpan).rangeCount == 1)
      } else {
        #expect(throws: RingError.self) { try GPADirectRanges(packet, in: bytes.rawSpan) }
      }
    }
    let (none, bytes) = Self.gpaDirect(rangeCount: 0, [])
    #expect(throws: RingError.corrupt(.descriptor(.rangeCount(0)))) { try GPADirectRanges(none, in: bytes.rawSpan) }
  }

  @Test func byteCountAndOffsetLie() throws {
    for byteCount in Self.boundary {
      for byteOffset in Self.boundary {
        let (packet, bytes) = Self.gpaDirect(rangeCount: 1, [Self.range(byteCount, byteOffset), 1, 2])
        let pages = (UInt64(byteCount) + UInt64(byteOffset) + 4095) / 4096
        if byteOffset >= 4096 {
          #expect(throws: RingError.corrupt(.descriptor(.byteOffset(byteOffset)))) {
            try GPADirectRanges(packet, in: bytes.rawSpan)
          }
        } else if pages > 2 {
          #expect(throws: RingError.corrupt(.descriptor(.pageList(byteCount: byteCount)))) {
            try GPADirectRanges(packet, in: bytes.rawSpan)
          }
        } else {
          var ranges = try GPADirectRanges(packet, in: bytes.rawSpan)
          #expect(try ranges.next(in: bytes.rawSpan)?.pageCount == Int(pages))
        }
      }
    }
  }

  /// The page list may not reach into the payload, even though the packet is long enough.
  @Test func pageListInThePayload() throws {
    var (packet, bytes) = Self.gpaDirect(rangeCount: 1, [Self.range(8192, 0), 1])
    bytes += [UInt8](repeating: 0, count: 4096)
    packet = Packet(
      type: .gpaDirect, completionRequested: true, transactionID: 1, payloadOffset: packet.payloadOffset,
      byteCount: bytes.count)
    #expect(throws: RingError.corrupt(.descriptor(.pageList(byteCount: 8192)))) {
      try GPADirectRanges(packet, in: bytes.rawSpan)
    }
  }

  @Test(arguments: [UInt64(1) << 52, 1 << 63, .max]) func pageFrameBeyondAnyAddress(frame: UInt64) throws {
    let (packet, bytes) = Self.gpaDirect(rangeCount: 1, [Self.range(1, 0), frame])
    var ranges = try GPADirectRanges(packet, in: bytes.rawSpan)
    let range = try #require(try ranges.next(in: bytes.rawSpan))
    #expect(throws: RingError.corrupt(.descriptor(.pageFrame(frame)))) {
      try range.pageFrame(at: 0, in: bytes.rawSpan)
    }
  }

  /// A descriptor of 16 bytes has no range count (the header-size underflow of other implementations).
  @Test(arguments: [16, 23, 24, 4096]) func shortDescriptor(payloadOffset: Int) throws {
    let bytes = [UInt8](repeating: 0xFF, count: 24)
    for type in [PacketType.gpaDirect, .transferPages] {
      let packet = Packet(
        type: type, completionRequested: false, transactionID: 0, payloadOffset: payloadOffset, byteCount: 24)
      #expect(throws: RingError.self) { try GPADirectRanges(packet, in: bytes.rawSpan) }
      #expect(throws: RingError.self) { try TransferPageRanges(packet, in: bytes.rawSpan) }
    }
  }

  @Test func otherType() throws {
    let packet = Packet(
      type: .inBand, completionRequested: false, transactionID: 0, payloadOffset: 24, byteCount: 24)
    let bytes = [UInt8](repeating: 0, count: 24)
    #expect(throws: RingError.corrupt(.descriptor(.type(.inBand)))) {
      try GPADirectRanges(packet, in: bytes.rawSpan)
    }
    #expect(throws: RingError.corrupt(.descriptor(.type(.inBand)))) {
      try TransferPageRanges(packet, in: bytes.rawSpan)
    }
  }

  @Test func transferRangeFits() {
    #expect(TransferPageRange(byteCount: .max, byteOffset: .max).fits(in: UInt64(UInt32.max) * 2))
    #expect(!TransferPageRange(byteCount: .max, byteOffset: .max).fits(in: UInt64(UInt32.max)))
    #expect(TransferPageRange(byteCount: 0, byteOffset: 8).fits(in: 8))
    #expect(!TransferPageRange(byteCount: 1, byteOffset: 8).fits(in: 8))
  }
}

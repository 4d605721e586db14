// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VMBus

/// Exact bytes. Provenance: layouts of Linux 6.12 `struct vmpacket_descriptor`, `vmpacket_descriptor` users in
/// `drivers/hv/channel.c` and `tools/hv/vmbus_bufring.h`, written out by hand.
@Suite struct RingGoldenTests {
  @Test func inBandPacket() throws {
    let ring = RingFixture()
    ring.start(at: 8)
    var writer = try ring.writer()
    try writer.send([1, 2, 3, 4, 5, 6, 7, 8, 9], id: 0x1122_3344_5566_7788, completion: true)
    #expect(ring[word: 0] == 8, "nothing is visible before the commit")
    #expect(writer.commit() == true)
    #expect(ring[word: 0] == 48)
    #expect(
      ring.peek(at: 8, count: 40) == [
        6, 0, 2, 0, 4, 0, 1, 0,  // type, offset / 8, length / 8, completion requested
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
        1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0,  // zero padding
        0, 0, 0, 0, 8, 0, 0, 0,  // trailer: start index in the upper half
      ])
    #expect(ring.peek(at: 48, count: 8) == [UInt8](repeating: 0xEE, count: 8))
  }

  @Test func completionPacket() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    try writer.send([], type: .completion, id: .max)
    _ = writer.commit()
    #expect(ring.peek(at: 0, count: 8) == [11, 0, 2, 0, 2, 0, 0, 0])
    #expect(ring.peek(at: 8, count: 16) == [UInt8](repeating: 0xFF, count: 8) + [UInt8](repeating: 0, count: 8))
  }

  @Test func gpaDirectPacket() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var tail = [UInt8](repeating: 0, count: 32)
    var span = tail.mutableSpan
    var bytes = unsafe span.mutableBytes
    var end = try DescriptorTail.beginGPADirect(rangeCount: 1, into: &bytes)
    end = try DescriptorTail.range(byteCount: 0x1000, byteOffset: 0x10, at: end, into: &bytes)
    end = try DescriptorTail.pageFrame(0x1234, at: end, into: &bytes)
    end = try DescriptorTail.pageFrame(0x5678, at: end, into: &bytes)
    #expect(end == 32)
    try writer.send([0xAB], type: .gpaDirect, tail: tail, id: 7)
    _ = writer.commit()
    let expected: [UInt8] =
      [9, 0, 6, 0, 7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]
      + [0, 0, 0, 0, 1, 0, 0, 0]
      + [0, 0x10, 0, 0, 0x10, 0, 0, 0]
      + [0x34, 0x12, 0, 0, 0, 0, 0, 0, 0x78, 0x56, 0, 0, 0, 0, 0, 0]
      + [0xAB, 0, 0, 0, 0, 0, 0, 0]
    #expect(ring.peek(at: 0, count: 56) == expected)
    var reader = try ring.reader()
    let received = try #require(try reader.receive())
    #expect(received.bytes == expected)
    #expect(received.packet.payloadOffset == 48)
  }

  @Test func transferPagesPacket() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var tail = [UInt8](repeating: 0, count: 16)
    var span = tail.mutableSpan
    var bytes = unsafe span.mutableBytes
    let end = try DescriptorTail.beginTransferPages(setID: 0xCAFE, rangeCount: 1, into: &bytes)
    _ = try DescriptorTail.range(byteCount: 1514, byteOffset: 0x2000, at: end, into: &bytes)
    try writer.send([UInt8](repeating: 0x6B, count: 40), type: .transferPages, tail: tail, id: 3, completion: true)
    _ = writer.commit()
    #expect(
      ring.peek(at: 0, count: 32) == [
        7, 0, 4, 0, 9, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0,
        0xFE, 0xCA, 0, 0, 1, 0, 0, 0, 0xEA, 0x05, 0, 0, 0, 0x20, 0, 0,
      ])
    var reader = try ring.reader()
    let received = try #require(try reader.receive())
    var ranges = try TransferPageRanges(received.packet, in: received.bytes.rawSpan)
    #expect(ranges.setID == 0xCAFE)
    #expect(
      try ranges.next(in: received.bytes.rawSpan) == TransferPageRange(byteCount: 1514, byteOffset: 0x2000))
    #expect(try ranges.next(in: received.bytes.rawSpan) == nil)
  }

  /// The bytes of a ring as Linux leaves them, trailer included, come out as packets.
  @Test func packetOfALinuxWriter() throws {
    let ring = RingFixture()
    ring.start(at: 4088)
    ring.poke(
      [6, 0, 2, 0, 3, 0, 1, 0, 0xFD, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        + [7, 0, 0, 0, 0, 0, 0, 0] + [0, 0, 0, 0, 0xF8, 0x0F, 0, 0], at: 4088)
    ring[word: 0] = 24
    var reader = try ring.reader()
    let received = try #require(try reader.receive())
    #expect(received.packet.type == .inBand)
    #expect(received.packet.completionRequested)
    #expect(received.packet.transactionID == 0xFFFF_FFFF_FFFF_FFFD)
    #expect(received.payload == [7, 0, 0, 0, 0, 0, 0, 0])
    #expect(try reader.receive() == nil)
    #expect(ring[word: 4] == 4088, "the space is not given back before the commit")
    #expect(reader.commit() == false)
    #expect(ring[word: 4] == 24)
  }

  @Test func headerPage() {
    let ring = RingFixture()
    for offset in stride(from: 0, to: 64, by: 4) { #expect(ring[word: offset] == 0) }
    #expect(ring[word: 64] == 1)
    ring[word: 12] = 77
    #expect(ring.control.pendingSendSize == 77)
    ring.control.setInterruptMask(1)
    #expect(ring[word: 8] == 1)
  }
}

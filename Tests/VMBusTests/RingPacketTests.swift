// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VMBus

@Suite struct RingPacketTests {
  static let types: [PacketType] = [.inBand, .transferPages, .gpaDirect, .completion, PacketType(rawValue: 0xFFFF)]

  /// Packets wrap anywhere, also inside their descriptor, in linear and in scattered memory.
  @Test func wrapAtEachOffset() throws {
    for size in [64, 4096] {
      for start in stride(from: 0, to: size, by: 8) {
        let ring = RingFixture(byteCount: size)
        ring.start(at: UInt32(start))
        var writer = try ring.writer()
        var reader = try ring.reader()
        let tail = (0..<8).map { UInt8(0x40 + $0) }
        let payload = (0..<13).map { UInt8($0) }
        try writer.send(payload, type: .gpaDirect, tail: tail, id: UInt64(start), completion: true)
        #expect(writer.commit() == true)
        let received = try #require(try reader.receive())
        #expect(received.packet.transactionID == UInt64(start))
        #expect(received.packet.payloadOffset == 24)
        #expect(Array(received.bytes[16..<24]) == tail)
        #expect(received.payload == payload + [0, 0, 0])
        #expect(try reader.receive() == nil)
        _ = reader.commit()
        #expect(ring[word: 4] == ring[word: 0])
        #expect(ring[word: 0] == UInt32((start + 48) % size))
        // The trailer names the start.
        #expect(ring.peek(at: start + 44, count: 4) == UInt32(start).wireBytes)
      }
    }
  }

  /// Every pair of payload offset and length that a descriptor can claim, 0 to 64 units of 8 bytes, with 256 bytes
  /// published: exactly the sound ones are returned, and their ranges end in a value or in a typed error.
  @Test(arguments: types) func claimedOffsetsAndLengths(type: PacketType) throws {
    let published: UInt32 = 256
    for offset8 in 0...64 {
      for length8 in 0...64 {
        let ring = RingFixture()
        ring.start(at: 4056)
        ring.poke(
          type.rawValue.wireBytes + UInt16(offset8).wireBytes + UInt16(length8).wireBytes + [0, 0], at: 4056)
        ring[word: 0] = (4056 + published) % 4096
        var reader = try ring.reader()
        let sound = length8 >= 2 && offset8 >= 2 && offset8 <= length8 && length8 * 8 + 8 <= Int(published)
        do throws(RingError) {
          var buffer = [UInt8](repeating: 0, count: 512)
          let packet = try RingPacketTests.next(&reader, &buffer)
          #expect(sound && packet?.byteCount == length8 * 8 && packet?.payloadOffset == offset8 * 8)
          if let packet { RingPacketTests.walk(packet, buffer) }
        } catch {
          #expect(!sound)
          switch error {
          case .corrupt(.packetLength(let bytes)): #expect(bytes == UInt32(length8 * 8))
          case .corrupt(.payloadOffset(let bytes)): #expect(bytes == UInt32(offset8 * 8))
          default: Issue.record("\(error)")
          }
          // The reader stays where it is and says the same again.
          #expect(throws: error) { try reader.receive() }
        }
      }
    }
  }

  static func next(
    _ reader: inout RingReader<LinearRingStorage>, _ buffer: inout [UInt8]
  ) throws(RingError) -> Packet? {
    var span = buffer.mutableSpan
    return unsafe try span.withUnsafeMutableBytes { bytes throws(RingError) in unsafe try reader.next(into: bytes) }
  }

  /// All iterators over the copy, whatever the type: none may trap.
  static func walk(_ packet: Packet, _ buffer: [UInt8]) {
    let bytes = buffer.rawSpan
    if var ranges = try? GPADirectRanges(packet, in: bytes) {
      while let range = try? ranges.next(in: bytes) {
        for index in 0..<range.pageCount { _ = try? range.pageFrame(at: index, in: bytes) }
      }
    }
    if var ranges = try? TransferPageRanges(packet, in: bytes) {
      while (try? ranges.next(in: bytes)) != nil {}
    }
    _ = try? packet.payload(in: bytes)
  }

  @Test func packetLargerThanTheBuffer() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var reader = try ring.reader()
    try writer.send([UInt8](repeating: 1, count: 100))
    _ = writer.commit()
    #expect(throws: RingError.tooLarge(needed: 120)) { try reader.receive(capacity: 119) }
    #expect(throws: RingError.tooLarge(needed: 120)) { try reader.receive(capacity: 0) }
    #expect(try reader.receive(capacity: 120) != nil)
  }

  @Test func packetLargerThanTheRing() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    #expect(throws: RingError.tooLarge(needed: 4096)) { try writer.send([UInt8](repeating: 1, count: 4072)) }
    try writer.send([UInt8](repeating: 1, count: 4064))
    let large = RingFixture(byteCount: 1 << 20)
    var largeWriter = try large.writer()
    #expect(throws: RingError.tooLarge(needed: 0x80000 + 16)) {
      try largeWriter.send([UInt8](repeating: 1, count: 0x7FFF1))
    }
    var reader = try large.reader()
    // The longest packet there is: 65535 units of 8 bytes.
    try largeWriter.send([UInt8](repeating: 9, count: 0x7FFE8))
    _ = largeWriter.commit()
    #expect(try reader.receive(capacity: 1 << 19)?.packet.byteCount == 65535 * 8)
  }

  @Test func descriptorTailIsPadded() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var reader = try ring.reader()
    try writer.send([5], tail: [1, 2, 3], id: 1)
    _ = writer.commit()
    let received = try #require(try reader.receive())
    #expect(received.packet.payloadOffset == 24)
    #expect(Array(received.bytes[16...]) == [1, 2, 3, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0])
  }

  /// Also across the end of the data area, and never behind what was given back already.
  @Test(arguments: [0, 4064] as [UInt32]) func putBackIsReadAgain(start: UInt32) throws {
    let ring = RingFixture()
    ring.start(at: start)
    var writer = try ring.writer()
    var reader = try ring.reader()
    try writer.send([1, 2, 3])
    try writer.send([4, 5, 6, 7, 8, 9, 10, 11, 12])
    _ = writer.commit()
    _ = try #require(try reader.receive())
    let second = try #require(try reader.receive())
    reader.putBack(second.packet)
    let more = reader.hasMore
    #expect(more)
    _ = reader.commit()
    #expect(ring[word: 4] == (start + 32) % 4096, "the space of the first")
    #expect(try reader.receive() == second)
    _ = reader.commit()
    #expect(ring[word: 4] == ring[word: 0])
    reader.putBack(second.packet)
    #expect(try reader.receive() == nil)
  }
}

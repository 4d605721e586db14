// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VMBus

@Suite struct RingForgedIndexTests {
  /// Behind the end, not a multiple of 8, the largest ones.
  static let forged: [UInt32] = [4096, 4104, 1, 4, 4095, 0x8000_0000, .max, .max - 7]

  @Test(arguments: forged) func writeIndex(index: UInt32) throws {
    let ring = RingFixture()
    var reader = try ring.reader()
    ring[word: 0] = index
    #expect(throws: RingError.corrupt(.writeIndex(index))) { try reader.receive() }
    #expect(throws: RingError.corrupt(.writeIndex(index))) { _ = try ring.writer() }
    // The peer's repentance is accepted: the reader kept its own place.
    ring[word: 0] = 0
    #expect(try reader.receive() == nil)
  }

  @Test(arguments: forged) func readIndex(index: UInt32) throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    ring[word: 4] = index
    #expect(throws: RingError.corrupt(.readIndex(index))) { try writer.send([1]) }
    #expect(throws: RingError.corrupt(.readIndex(index))) { _ = try ring.reader() }
    #expect(writer.requestSpace(64) == true, "does not wait on a forged index")
    ring[word: 4] = 0
    try writer.send([1])
  }

  /// A reader's own index in shared memory is output only: a forged one changes nothing.
  @Test func ownIndexIsNotReadBack() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var reader = try ring.reader()
    for round in 0..<500 {
      ring[word: 0] = ring[word: 0] & ~7
      try writer.send([UInt8(truncatingIfNeeded: round)], id: UInt64(round))
      _ = writer.commit()
      let received = try #require(try reader.receive())
      #expect(received.packet.transactionID == UInt64(round))
      let index = ring[word: 0]
      _ = reader.commit()
      ring[word: 4] = 0xDEAD_BEEF
      #expect(try reader.receive() == nil)
      ring[word: 4] = index
    }
  }

  /// A write index that moves backwards means "nearly a whole ring published": stale bytes come as packets or as typed
  /// errors, in bounded number, and the ring never yields more bytes than it has.
  @Test func writeIndexMovesBackwards() throws {
    for step in stride(from: 8, to: 4096, by: 8) {
      let ring = RingFixture()
      ring.start(at: 2048)
      var writer = try ring.writer()
      var reader = try ring.reader()
      try writer.send([UInt8](repeating: 7, count: 200))
      _ = writer.commit()
      #expect(try reader.receive() != nil)
      ring[word: 0] = (ring[word: 0] &- UInt32(step)) & 4095
      var bytes = 0
      do {
        while let received = try reader.receive() { bytes += received.packet.byteCount + 8 }
      } catch is RingError {}
      #expect(bytes <= 4096)
    }
  }

  /// The index is one published value at one look and another at the next: what was available at the first look stays
  /// available, and the second value is checked on its own.
  @Test func writeIndexChangesBetweenReads() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var reader = try ring.reader()
    try writer.send([1], id: 1)
    try writer.send([2], id: 2)
    _ = writer.commit()
    #expect(try reader.receive()?.packet.transactionID == 1)
    ring[word: 0] = 12
    #expect(try reader.receive()?.packet.transactionID == 2)
    #expect(reader.hasMore == true)
    #expect(throws: RingError.corrupt(.writeIndex(12))) { try reader.receive() }
  }

  @Test(arguments: [UInt32(0), 4, 12, 0x8000_0008, .max]) func dataSize(size: UInt32) throws {
    let ring = RingFixture()
    let storage = unsafe LinearRingStorage(base: ring.data, byteCount: size)
    #expect(throws: RingError.corrupt(.dataSize(size))) { _ = try RingReader(control: ring.control, storage: storage) }
    #expect(throws: RingError.corrupt(.dataSize(size))) { _ = try RingWriter(control: ring.control, storage: storage) }
  }

  @Test(arguments: [-1, 0, 1 << 19, Int.max]) func pageCount(count: Int) throws {
    var pages = unsafe [UnsafeMutableRawPointer(bitPattern: 4096)!]
    unsafe pages.withUnsafeMutableBufferPointer { table in
      let storage = unsafe PagedRingStorage(pages: table.baseAddress!, pageCount: count)
      #expect(storage.byteCount == 0)
    }
  }
}

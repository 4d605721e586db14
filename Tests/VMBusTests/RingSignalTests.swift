// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VMBus

/// Who signals when: "a missing signal is a hang, an extra one is always safe".
@Suite struct RingSignalTests {
  @Test func writerSignalsOnlyAnEmptyRing() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var reader = try ring.reader()
    #expect(writer.commit() == false, "nothing written, nothing to say")
    try writer.send([1])
    try writer.send([2])
    #expect(writer.commit() == true, "one signal for the batch")
    try writer.send([3])
    #expect(writer.commit() == false, "the reader has not caught up")
    _ = try reader.receive()
    _ = try reader.receive()
    _ = reader.commit()
    try writer.send([4])
    #expect(writer.commit() == false, "one packet was left")
    _ = try reader.receive()
    _ = try reader.receive()
    _ = reader.commit()
    try writer.send([5])
    #expect(writer.commit() == true)
  }

  @Test func maskSilencesAndUnmaskLooksAgain() throws {
    let ring = RingFixture()
    var writer = try ring.writer()
    var reader = try ring.reader()
    reader.maskInterrupts()
    #expect(ring[word: 8] == 1)
    try writer.send([1])
    #expect(writer.commit() == false, "masked")
    #expect(reader.unmaskInterrupts() == true, "what came while masked is found by the second look")
    #expect(ring[word: 8] == 0)
    reader.maskInterrupts()
    #expect(try reader.receive() != nil)
    _ = reader.commit()
    #expect(reader.unmaskInterrupts() == false)
    try writer.send([2])
    #expect(writer.commit() == true)
  }

  @Test func neverFilledCompletely() throws {
    let ring = RingFixture(byteCount: 64)
    var writer = try ring.writer()
    #expect(throws: RingError.tooLarge(needed: 64)) { try writer.send([UInt8](repeating: 0, count: 40)) }
    try writer.send([UInt8](repeating: 0, count: 32))
    _ = writer.commit()
    #expect(ring[word: 0] == 56)
    #expect(throws: RingError.full(needed: 24)) { try writer.send([]) }
  }

  @Test func fullRingAndPendingSendSize() throws {
    let ring = RingFixture(byteCount: 256)
    var writer = try ring.writer()
    var reader = try ring.reader()
    for _ in 0..<7 { try writer.send([UInt8](repeating: 1, count: 8)) }  // 7 × 32 bytes: 32 are left
    _ = writer.commit()
    #expect(throws: RingError.full(needed: 104)) { try writer.send([UInt8](repeating: 2, count: 80)) }
    #expect(writer.requestSpace(104) == false)
    #expect(ring[word: 12] == 104)
    var signals: [Bool] = []
    for _ in 0..<5 {
      _ = try reader.receive()
      signals.append(reader.commit())
    }
    // Free: 64, 96, 128: crossing. Then more, without a second signal.
    #expect(signals == [false, false, true, false, false])
    try writer.send([UInt8](repeating: 2, count: 80))
    _ = writer.commit()
    #expect(ring[word: 12] == 0, "the request ends with the write")
  }

  /// The threshold is passed by the first packet of a batch, the commit comes after the third.
  @Test func crossingIsComputedOverTheBatch() throws {
    for batch in 1...7 {
      let ring = RingFixture(byteCount: 256)
      var writer = try ring.writer()
      var reader = try ring.reader()
      for _ in 0..<7 { try writer.send([UInt8](repeating: 1, count: 8)) }
      _ = writer.commit()
      _ = writer.requestSpace(40)
      for _ in 0..<batch { _ = try reader.receive() }
      #expect(reader.commit() == true)
    }
  }

  @Test func exactlyEnoughIsNotEnough() throws {
    let ring = RingFixture(byteCount: 256)
    var writer = try ring.writer()
    var reader = try ring.reader()
    for _ in 0..<7 { try writer.send([UInt8](repeating: 1, count: 8)) }
    _ = writer.commit()
    _ = writer.requestSpace(64)
    _ = try reader.receive()
    #expect(reader.commit() == false, "64 free is not more than 64")
    _ = try reader.receive()
    #expect(reader.commit() == true)
  }

  @Test func withoutFeatureBitNoSignal() throws {
    let ring = RingFixture(byteCount: 256)
    ring[word: 64] = 0
    var writer = try ring.writer()
    var reader = try ring.reader()
    for _ in 0..<7 { try writer.send([UInt8](repeating: 1, count: 8)) }
    _ = writer.commit()
    _ = writer.requestSpace(40)
    _ = try reader.receive()
    #expect(reader.commit() == false)
  }

  @Test func spaceThatCameMeanwhileIsFound() throws {
    let ring = RingFixture(byteCount: 256)
    var writer = try ring.writer()
    var reader = try ring.reader()
    for _ in 0..<7 { try writer.send([UInt8](repeating: 1, count: 8)) }
    _ = writer.commit()
    #expect(throws: RingError.full(needed: 40)) { try writer.send([UInt8](repeating: 2, count: 16)) }
    _ = try reader.receive()
    _ = try reader.receive()
    #expect(reader.commit() == false, "nobody waits yet")
    #expect(writer.requestSpace(40) == true, "no signal will come, so the answer must be yes")
    try writer.send([UInt8](repeating: 2, count: 16))
  }

  @Test(arguments: [UInt32(0), 1, 255, 256, 257, .max]) func forgedPendingSize(pending: UInt32) throws {
    let ring = RingFixture(byteCount: 256)
    var writer = try ring.writer()
    var reader = try ring.reader()
    try writer.send([1])
    _ = writer.commit()
    ring[word: 12] = pending
    ring[word: 0] = 0xFFFF_FFF1
    _ = try? reader.receive()
    _ = reader.commit()
    ring[word: 0] = 32
    _ = try reader.receive()
    _ = reader.commit()
    #expect(ring[word: 4] == 32)
  }
}

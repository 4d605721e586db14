// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing

@testable import VMBus

/// Both ends over one memory, with random traffic and against a racing third party.
@Suite struct RingTrafficTests {
  /// A generator that says its seed in every failure.
  struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  /// 20,000 random steps: everything written comes out, once, in order, unchanged; free space is never lost; and a
  /// sleeping end is always woken by the rules of signals alone.
  static func traffic(
    control: RingControl, storage: some RingStorage, seed: UInt64
  ) throws {
    var dice = Dice(state: seed)
    var writer = try RingWriter(control: control, storage: storage)
    var reader = try RingReader(control: control, storage: storage)
    var expected: [ReceivedPacket] = []
    var sent: UInt64 = 0
    var readerSleeps = true
    var writerWaits = false
    for _ in 0..<20_000 {
      if writerWaits || Bool.random(using: &dice) {
        if readerSleeps { continue }
        for _ in 0..<Int.random(in: 1...8, using: &dice) {
          guard let received = try reader.receive(capacity: 4096) else { break }
          let first = try #require(expected.first, "seed \(seed)")
          #expect(received == first, "seed \(seed)")
          expected.removeFirst()
        }
        if reader.commit() {
          #expect(writerWaits, "seed \(seed): signal to a writer that does not wait")
          writerWaits = false
        }
        if !reader.hasMore {
          readerSleeps = !reader.unmaskInterrupts()
          #expect(expected.isEmpty || !readerSleeps, "seed \(seed): sleeps before a full ring")
          #expect(!(writerWaits && readerSleeps), "seed \(seed): both ends sleep")
        } else if Bool.random(using: &dice) {
          reader.maskInterrupts()
        }
      } else {
        for _ in 0..<Int.random(in: 1...4, using: &dice) {
          let tail = (0..<8 * Int.random(in: 0...3, using: &dice)).map { _ in UInt8.random(in: 0...255, using: &dice) }
          let count = Int.random(in: 0...(Int.random(in: 0...8, using: &dice) == 0 ? 1500 : 64), using: &dice)
          let payload = (0..<count).map { _ in UInt8.random(in: 0...255, using: &dice) }
          let completion = Bool.random(using: &dice)
          do throws(RingError) {
            try writer.send(payload, tail: tail, id: sent, completion: completion)
          } catch {
            guard case .full(let needed) = error else { throw error }
            if writer.commit() { readerSleeps = false }
            writerWaits = !writer.requestSpace(needed)
            break
          }
          var bytes = [UInt8](repeating: 0, count: 16) + tail + payload
          bytes += [UInt8](repeating: 0, count: -bytes.count & 7)
          let packet = Packet(
            type: .inBand, completionRequested: completion, transactionID: sent, payloadOffset: 16 + tail.count,
            byteCount: bytes.count)
          let header =
            PacketType.inBand.rawValue.wireBytes + UInt16(packet.payloadOffset / 8).wireBytes
            + UInt16(packet.byteCount / 8).wireBytes + UInt16(completion ? 1 : 0).wireBytes + sent.wireBytes
          bytes.replaceSubrange(0..<16, with: header)
          expected.append(ReceivedPacket(packet: packet, bytes: bytes))
          sent += 1
        }
        if writer.commit() { readerSleeps = false }
        if readerSleeps { #expect(expected.isEmpty, "seed \(seed): a packet and no signal") }
      }
    }
    while let received = try reader.receive(capacity: 4096) {
      #expect(received == expected.removeFirst())
    }
    #expect(expected.isEmpty)
    #expect(sent > 1000)
  }

  @Test(arguments: [UInt64(1), 2, 3, 4]) func linear(seed: UInt64) throws {
    let ring = RingFixture(byteCount: 4096)
    try Self.traffic(control: ring.control, storage: ring.storage, seed: seed)
  }

  @Test(arguments: [UInt64(11), 12]) func scatteredPages(seed: UInt64) throws {
    let ring = RingFixture(byteCount: 3 * 4096)
    var table = unsafe [ring.data + 8192, ring.data, ring.data + 4096]
    try unsafe table.withUnsafeMutableBufferPointer { pages in
      let storage = unsafe PagedRingStorage(pages: pages.baseAddress!, pageCount: 3)
      #expect(storage.byteCount == 12288)
      try Self.traffic(control: ring.control, storage: storage, seed: seed)
    }
  }

  /// Two threads, both ends at full speed through a small ring.
  @Test func twoThreads() throws {
    let ring = RingFixture(byteCount: 4096)
    nonisolated(unsafe) let shared = ring
    let count: UInt64 = 50_000
    let thread = Thread {
      guard var writer = try? unsafe shared.writer() else { return }
      var dice = Dice(state: 99)
      for id in 0..<count {
        let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: id), count: Int(dice.next() % 200))
        while (try? writer.send(payload, id: id)) == nil {
          _ = writer.commit()
          sched_yield()
        }
        if dice.next() % 4 == 0 { _ = writer.commit() }
      }
      _ = writer.commit()
    }
    thread.start()
    var reader = try ring.reader()
    var next: UInt64 = 0
    var wrong = 0
    while next < count {
      guard let received = try reader.receive(capacity: 512) else {
        _ = reader.commit()
        sched_yield()
        continue
      }
      if received.packet.transactionID != next { wrong += 1 }
      let content = received.payload
      if let first = content.first, content.dropLast(7).contains(where: { $0 != first }) { wrong += 1 }
      next += 1
    }
    #expect(wrong == 0)
  }

  /// A racing thread rewrites the descriptor while it is being read. The oracle: what `next` returns and what lies in
  /// the private copy are one and the same descriptor, and it lies inside the published bytes.
  @Test func doubleFetch() throws {
    let ring = RingFixture(byteCount: 4096)
    ring[word: 0] = 1024
    nonisolated(unsafe) let shared = ring
    let stop = Flag()
    let thread = Thread {
      var dice = Dice(state: 5)
      let sound = UInt64(6) | 2 << 16 | 4 << 32
      while !stop.isSet {
        for _ in 0..<64 {
          let forged = dice.next() & 0xFFFF_007F_0047_FFFF
          // Atomic, or an optimiser keeps only the last of all these stores.
          let word = unsafe shared.data.assumingMemoryBound(to: Atomic<UInt64>.self)
          unsafe word.pointee.store(sound, ordering: .relaxed)
          unsafe word.pointee.store(forged, ordering: .relaxed)
        }
      }
    }
    thread.start()
    defer { stop.set() }
    var returned = 0
    var refused = 0
    for _ in 0..<100_000 {
      var reader = try ring.reader()
      var buffer = [UInt8](repeating: 0, count: 1024)
      do throws(RingError) {
        guard let packet = try RingPacketTests.next(&reader, &buffer) else { continue }
        returned += 1
        var descriptor: UInt64 = 0
        for index in (0..<8).reversed() { descriptor = descriptor << 8 | UInt64(buffer[index]) }
        let inside = packet.byteCount <= 1016 && packet.payloadOffset <= packet.byteCount
        let described =
          UInt64(packet.type.rawValue) | UInt64(packet.payloadOffset / 8) << 16 | UInt64(packet.byteCount / 8) << 32
        let same =
          descriptor & 0xFFFF_FFFF_FFFF == described && (descriptor >> 48 & 1 != 0) == packet.completionRequested
        if !inside || !same { Issue.record("descriptor and copy differ: \(packet)") }
      } catch {
        refused += 1
      }
    }
    #expect(returned > 0)
    #expect(refused > 0)
  }
}

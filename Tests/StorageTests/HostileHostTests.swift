// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import ServiceClients

/// Group "Hostile host … storvsc" of the hostile inputs: an error or a dropped packet, never more.
@Suite struct HostileHostTests {
  /// A queue with its table, and the packets that a host puts into its ring.
  @safe final class Bench {
    private let table: UnsafeMutableRawPointer
    var queue: StorageQueue

    init(capacity: Int = 4, version: StorageVersion = .v6_2) {
      unsafe table = .allocate(byteCount: StorageQueue.tableBytes(capacity: capacity), alignment: 16)
      queue = unsafe StorageQueue(version: version, table: table, capacity: capacity)
    }

    deinit { unsafe table.deallocate() }

    func receive(
      _ payload: [UInt8], id: UInt64, type: PacketType = .completion
    ) throws(StorageClientFault) -> StorageQueue.Inbound {
      let bytes = [UInt8](repeating: 0, count: 16) + payload
      let packet = Packet(
        type: type, completionRequested: false, transactionID: id, payloadOffset: 16, byteCount: bytes.count)
      return try queue.receive(packet, in: unsafe bytes.span.bytes)
    }

    /// The end of the request with this id.
    func end(_ payload: [UInt8], id: UInt64) -> StorageCompletion? {
      guard case .completed(let completion) = try? receive(payload, id: id) else { return nil }
      return completion
    }

    func begin(byteCount: UInt32 = 4096, context: UInt64 = 1) throws -> UInt64 {
      try queue.begin(
        StorageCommand(
          unit: 3, SCSICommandBlock(.read10, byteCount: 10), direction: .read, byteCount: byteCount, context: context)
      ).transactionID
    }
  }

  static func answer(
    srb: UInt8 = 1, scsi: UInt8 = 0, length: UInt32 = 4096, sense: [UInt8] = [], senseLength: UInt8? = nil,
    operation: UInt8 = 1
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 64)
    bytes[0] = operation
    bytes[14] = srb
    bytes[15] = scsi
    bytes[21] = senseLength ?? UInt8(sense.count)
    bytes.replaceSubrange(24..<28, with: (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(8 * $0)) })
    bytes.replaceSubrange(28..<28 + sense.count, with: sense)
    return bytes
  }

  @Test func transferLengthAboveTheRequest() throws {
    let bench = Bench()
    for length in [0, 512, 4096, 4097, .max] as [UInt32] {
      let id = try bench.begin()
      #expect(bench.end(Self.answer(length: length), id: id)?.byteCount == min(length, 4096))
    }
    // With a failure nothing was moved, whatever it says.
    let id = try bench.begin()
    #expect(bench.end(Self.answer(srb: 4, length: 4096), id: id)?.byteCount == 0)
  }

  @Test func senseLongerThanItsBuffer() throws {
    let bench = Bench()
    let sense: [UInt8] = [0xF0, 0, 6, 0, 0, 0, 7, 10, 0, 0, 0, 0, 0x2A, 9, 0, 0, 0, 0]
    let expected = SenseData(.unitAttention, .capacityChanged, information: 7)
    for length in [18, 20, 21, 255] as [UInt8] {
      let id = try bench.begin()
      #expect(
        bench.end(Self.answer(srb: 0x84, scsi: 2, sense: sense, senseLength: length), id: id)?.verdict
          == .deviceError(.checkCondition, expected))
    }
    for length in [0, 3, 13] as [UInt8] {
      let id = try bench.begin()
      #expect(
        bench.end(Self.answer(srb: 0x84, scsi: 2, sense: sense, senseLength: length), id: id)?.verdict
          == .deviceError(.checkCondition, nil))
    }
    // Without the flag there is none.
    let id = try bench.begin()
    #expect(
      bench.end(Self.answer(srb: 0x04, scsi: 2, sense: sense), id: id)?.verdict == .deviceError(.checkCondition, nil))
  }

  /// What goes up to a SCSI layer: never more than there is, and nothing behind the end.
  @Test func senseBytesAsTheyCame() throws {
    let bench = Bench()
    let sense = [UInt8](1...24)
    for length in UInt8.min...UInt8.max {
      let id = try bench.begin()
      let raw = try #require(
        bench.end(Self.answer(srb: 0x84, scsi: 2, sense: sense, senseLength: length), id: id)?.rawSense)
      let count = min(Int(length), 20)
      #expect(raw.byteCount == UInt8(count))
      // In steps that the compiler can follow in good time.
      let words: [UInt64] = [raw.low, raw.high, UInt64(raw.last)]
      let bytes: [UInt8] = (0..<20).map { (index: Int) -> UInt8 in
        let shift = UInt64(8 * (index % 8))
        return UInt8(truncatingIfNeeded: words[index / 8] >> shift)
      }
      #expect(bytes == Array(sense.prefix(count)) + Array(repeating: 0, count: 20 - count), "\(length)")
    }
    for (srb, scsi) in [(0x04, 2), (0x01, 0), (0x20, 0), (0xA0, 2)] as [(UInt8, UInt8)] {
      let id = try bench.begin()
      #expect(
        bench.end(Self.answer(srb: srb, scsi: scsi, sense: sense, senseLength: 20), id: id)?.rawSense.byteCount == 0)
    }
  }

  /// Flags as Windows and Linux set them: tagged, not synchronous, and the data's way.
  @Test func flagsOfRequests() throws {
    for (direction, flags) in [(.read, 0x4A), (.write, 0x8A), (.none, 0x0A)] as [(StorageDirection, UInt32)] {
      let bench = Bench()
      let packet = try bench.queue.begin(
        StorageCommand(unit: 3, SCSICommandBlock(.read10, byteCount: 10), direction: direction, byteCount: 4096))
      let block = try SCSIRequestBlock(decodingBodyOf: packet.bytes, version: .v6_2)
      #expect(block.flags == flags && block.queueAction == 0x20)
    }
  }

  /// Only what is known to be a success is one.
  @Test func statusNonsense() throws {
    let bench = Bench()
    for srb in UInt8.min...UInt8.max {
      for scsi in [0, 2, 0x18, 0xFF] as [UInt8] {
        let id = try bench.begin()
        let completion = try #require(bench.end(Self.answer(srb: srb, scsi: scsi), id: id))
        let isSuccess = (srb & 0x3F == 1 || srb & 0x3F == 0x12) && scsi == 0
        #expect((completion.verdict == .success) == isSuccess, "\(srb) \(scsi)")
        if srb & 0x3F == 0x20 { #expect(completion.verdict == .noUnit) }
        if !isSuccess { #expect(completion.byteCount == 0) }
      }
    }
    #expect(bench.queue.outstanding == 0)
  }

  /// The request ends, as an adapter's error, so that nobody waits for it; what the bytes say does not count.
  @Test func shorterThanTheStructure() throws {
    for count in 0..<64 {
      let bench = Bench()
      let id = try bench.begin()
      let completion = try #require(bench.end(Array(Self.answer().prefix(count)), id: id))
      #expect(completion.verdict == .adapterError(.internalError) && completion.byteCount == 0)
      #expect(bench.queue.outstanding == 0)
    }
    // Another operation than a completion.
    let bench = Bench()
    let id = try bench.begin()
    #expect(bench.end(Self.answer(operation: 3), id: id)?.verdict == .adapterError(.internalError))
  }

  @Test func completionsForNothing() throws {
    let bench = Bench()
    let id = try bench.begin()
    for wrong in [0, .max >> 16, id + 1, id | 1 << 32, id ^ 1 << 16, 0xFFFF, 5] as [UInt64] {
      #expect(throws: StorageClientFault.notOutstanding) { try bench.receive(Self.answer(), id: wrong) }
    }
    #expect(bench.end(Self.answer(), id: id) != nil)
    // Twice; and after the slot is in use again.
    #expect(throws: StorageClientFault.notOutstanding) { try bench.receive(Self.answer(), id: id) }
    for _ in 0..<4 { _ = try bench.begin() }
    #expect(throws: StorageClientFault.notOutstanding) { try bench.receive(Self.answer(), id: id) }
    #expect(throws: StorageClientFault.full) { try bench.begin() }
    #expect(bench.queue.outstanding == 4 && bench.queue.faults == 9)
    // An earlier opening's.
    let old = bench.queue.abandon()
    #expect(old?.verdict == .aborted)
    while bench.queue.abandon() != nil {}
    bench.queue.channelOpened(version: .v6_2)
    #expect(bench.queue.outstanding == 0)
    #expect(throws: StorageClientFault.notOutstanding) { try bench.receive(Self.answer(), id: id) }
  }

  @Test func packetsThatAreNone() throws {
    let bench = Bench()
    _ = try bench.begin()
    for type in [0, 7, 8, 9, 12, 99] as [UInt16] {
      #expect(throws: StorageClientFault.malformed) {
        try bench.receive(Self.answer(), id: 1, type: PacketType(rawValue: type))
      }
    }
    // In-band: notices only, and long enough to say so. A completion with id 0 is none.
    for operation in 0...255 as ClosedRange<UInt8> where operation != 2 && operation != 11 {
      #expect(throws: StorageClientFault.malformed) {
        try bench.receive(Self.answer(operation: operation), id: 0, type: .inBand)
      }
    }
    #expect(throws: StorageClientFault.truncated) { try bench.receive([11, 0, 0], id: 0, type: .inBand) }
    guard case .unitsChanged = try bench.receive([11, 0, 0, 0], id: 0, type: .inBand) else {
      Issue.record("no notice")
      return
    }
    #expect(bench.queue.outstanding == 1)
  }

  // MARK: The bring-up

  /// Answers the client's packet.
  private func reply(
    _ client: inout StorageClient, _ packet: StoragePacket, status: UInt32 = 0, operation: UInt8 = 1,
    fields: [(Int, UInt32)] = [], count: Int = 64
  ) -> StorageClient.Step? {
    var bytes = [UInt8](repeating: 0, count: 64)
    for (offset, value) in [(8, status)] + fields {
      bytes.replaceSubrange(
        offset..<offset + 4, with: (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) })
    }
    bytes[0] = operation
    bytes = Array(bytes.prefix(count))
    return try? client.receive(unsafe bytes.span.bytes, transactionID: packet.transactionID)
  }

  /// The packet that the client wants sent.
  private func sent(_ step: StorageClient.Step?) -> StoragePacket? {
    guard case .send(let packet) = step else { return nil }
    return packet
  }

  /// Opens and answers.
  private func first(
    _ client: inout StorageClient, operation: UInt8 = 1, count: Int = 64
  ) -> StorageClient.Step? {
    let packet = client.channelOpened()
    return reply(&client, packet, operation: operation, count: count)
  }

  /// As far as the properties' answer.
  private func untilProperties(_ client: inout StorageClient) throws -> StoragePacket {
    let begin = client.channelOpened()
    let version = try #require(sent(reply(&client, begin)))
    return try #require(sent(reply(&client, version)))
  }

  @Test func maximumTransfer() throws {
    for (said, used) in [(0, nil), (1, nil), (4095, nil), (4096, 4096), (70_000, 69_632), (.max, 1 << 20)]
      as [(UInt32, UInt32?)]
    {
      var client = StorageClient()
      let properties = try untilProperties(&client)
      let step = reply(&client, properties, fields: [(24, said)])
      if let used {
        #expect(sent(step) != nil && client.maximumTransferBytes == used)
      } else {
        #expect(client.state == .failed(.badProperties))
      }
    }
  }

  @Test func subChannelCount65535() throws {
    for (flags, said, used) in [(1, 65535, 3), (1, 2, 2), (1, 0, 0), (0, 65535, 0)] as [(UInt32, UInt32, UInt16)] {
      var client = StorageClient(wantedSubChannels: 3)
      let properties = try untilProperties(&client)
      let end = try #require(sent(reply(&client, properties, fields: [(16, said), (20, flags), (24, 1 << 20)])))
      let step = reply(&client, end)
      if used > 0 {
        let create = try #require(sent(step))
        #expect(create.bytes.byteCount == 64)
        #expect(client.accepts(subChannel: used) && !client.accepts(subChannel: used + 1))
        #expect(!client.accepts(subChannel: 0) && !client.accepts(subChannel: .max))
        // Refused: one channel has to do.
        _ = reply(&client, create, status: 0xC000_000D)
        #expect(client.state == .ready && !client.accepts(subChannel: 1))
      } else {
        #expect(client.state == .ready && !client.accepts(subChannel: 1))
      }
    }
  }

  @Test func refusals() throws {
    // No version that we have.
    var client = StorageClient()
    var next = try #require(sent(first(&client)))
    for _ in 0..<2 { next = try #require(sent(reply(&client, next, status: 0xC000_0059))) }
    _ = reply(&client, next, status: 0xC000_0059)
    #expect(client.state == .failed(.noVersion))
    // Not even a beginning.
    var refused = StorageClient()
    let begin = refused.channelOpened()
    _ = reply(&refused, begin, status: 0xC000_0001)
    #expect(refused.state == .failed(.refused))
    #expect(reply(&refused, begin) == nil && refused.faults == 2)
    // Another operation, too short.
    var odd = StorageClient()
    _ = first(&odd, operation: 11)
    #expect(odd.state == .failed(.malformed))
    var short = StorageClient()
    _ = first(&short, count: 11)
    #expect(short.state == .failed(.truncated))
    // None at all.
    var silent = StorageClient()
    let packet = silent.channelOpened()
    silent.giveUp()
    #expect(silent.state == .failed(.refused))
    #expect(reply(&silent, packet) == nil)
    // And again from the start.
    #expect(try untilProperties(&silent).transactionID > packet.transactionID)
  }

  @Test func answersNobodyAskedFor() throws {
    var client = StorageClient()
    let properties = try untilProperties(&client)
    var bytes = [UInt8](repeating: 0, count: 64)
    bytes[0] = 1
    for id in [0, 1, .max, properties.transactionID - 1, properties.transactionID + 1] as [UInt64] {
      #expect(throws: StorageClientFault.notOutstanding) {
        try client.receive(unsafe bytes.span.bytes, transactionID: id)
      }
    }
    #expect(client.state == .askingProperties && client.faults == 5)
  }

  @Test func resets() throws {
    var client = StorageClient()
    #expect(throws: StorageClientFault.wrongState) { try client.reset() }
    let properties = try untilProperties(&client)
    let end = try #require(sent(reply(&client, properties, fields: [(24, 1 << 20)])))
    _ = reply(&client, end)
    let reset = try client.reset()
    #expect(throws: StorageClientFault.wrongState) { try client.reset() }
    guard case .resetDone = try #require(reply(&client, reset)) else {
      Issue.record("not done")
      return
    }
    #expect(reply(&client, reset) == nil)
    #expect(try client.reset().transactionID != reset.transactionID)
  }

  /// What goes out is what Linux sends, but for the fields that only say who asks.
  @Test func packetsOfTheGuest() throws {
    var client = StorageClient()
    let begin = client.channelOpened()
    #expect(
      unsafe begin.bytes.withUnsafeBytes { unsafe Array($0) } == [7, 0, 0, 0, 1] + Array(repeating: 0, count: 59))
    let version = try #require(sent(reply(&client, begin)))
    let bytes = unsafe version.bytes.withUnsafeBytes { unsafe Array($0) }
    #expect(Array(bytes.prefix(16)) == [9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 6, 0, 0])
  }
}

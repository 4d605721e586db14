// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

/// The messages that the guest's daemons read and write, and the order in which they may come.
@Suite struct DaemonTests {
  let clock = TestClock()

  /// A ready client and a request of the host that its daemon has to work on.
  private func request(
    _ ask: (inout KeyValueProvider) -> Void
  ) throws -> (client: KeyValuePairClient, packet: Packet) {
    var provider = KeyValueProvider()
    var client = KeyValuePairClient()
    provider.channelOpened(clock.now)
    var negotiation = try #require(provider.effects().sent.first)
    try negotiation.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
    provider.receive(negotiation, clock)
    ask(&provider)
    var packet = try #require(provider.effects().sent.last)
    try receive(&packet, by: &client)
    return (client, packet)
  }

  private func receive(_ packet: inout Packet, by client: inout KeyValuePairClient) throws {
    var answer = ClientAnswer.send
    try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in answer = try client.receive(&bytes) }
    #expect(answer == .later)
  }

  private func message(_ size: Int, _ body: (inout MutableRawSpan) throws -> Void) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xAA, count: size)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try body(&raw)
    return bytes
  }

  private func encoded(_ client: KeyValuePairClient, _ packet: Packet) throws -> [UInt8] {
    let request = try #require(client.request)
    return try message(KeyValueDaemonMessage.byteCount) {
      try KeyValueDaemonMessage.encode(request, from: packet.bytes.wire, into: &$0)
    }
  }

  private func text(_ bytes: [UInt8], at offset: Int) -> String {
    String(decoding: bytes[offset...].prefix { $0 != 0 }, as: UTF8.self)
  }

  private func put(_ text: String, into bytes: inout [UInt8], at offset: Int) {
    for (index, byte) in text.utf8.enumerated() { bytes[offset + index] = byte }
    bytes[offset + text.utf8.count] = 0
  }

  // MARK: The conversation

  @Test func registersReadsAndReplies() throws {
    var link = DaemonLink()
    try link.open()
    #expect(throws: DaemonFault.busy) { try link.open() }
    #expect(!link.isRegistered && !link.ask())
    try link.register(greets: true)
    #expect(link.state == .greeting && !link.ask(), "not before it has read the answer")
    link.read()
    #expect(link.state == .ready && link.ask() && !link.ask() && link.isAsked)
    #expect(throws: DaemonFault.invalid, "nothing was read yet") { try link.reply() }
    link.read()
    #expect(throws: DaemonFault.invalid) { try link.register(greets: true) }
    try link.reply()
    #expect(link.state == .ready)
    #expect(throws: DaemonFault.invalid, "twice") { try link.reply() }
    #expect(!link.close() && link.state == .absent)
  }

  @Test func aDaemonThatVanishesLeavesWhatItWasAsked() throws {
    for reads in [0, 1] {
      var link = DaemonLink()
      try link.open()
      try link.register(greets: false)
      let isAsked = link.ask()
      #expect(isAsked)
      for _ in 0..<reads { link.read() }
      let wasAsked = link.close()
      #expect(wasAsked, "the request is left")
      let isAskedStill = link.close()
      #expect(!isAskedStill)
    }
  }

  @Test func aReplyThatIsLateAnswersNothingElse() throws {
    var link = DaemonLink()
    try link.open()
    try link.register(greets: false)
    #expect(link.ask() && link.giveUp(), "not read: withdrawn")
    #expect(link.state == .ready && link.ask())
    link.read()
    #expect(!link.giveUp() && link.state == .late)
    #expect(!link.ask() && !link.isAsked, "it still works on the other")
    #expect(throws: DaemonFault.invalid, "so that it undoes what it has done") { try link.reply() }
    let isAsked = link.ask()
    #expect(isAsked)
  }

  // MARK: Data exchange

  @Test func keyValueRegistrations() throws {
    var bytes = [UInt8](repeating: 0, count: 7432)
    for kind in 0...255 as ClosedRange<UInt8> {
      bytes[0] = kind
      var answer = [UInt8](repeating: 0xAA, count: 7432)
      var registered: UInt8?
      var fault: DaemonFault?
      answer = try message(7432) {
        do throws(DaemonFault) {
          registered = try KeyValueDaemonMessage.register(bytes.wire, answer: &$0)
        } catch {
          fault = error
        }
      }
      guard kind == 4 || kind == 100 else {
        #expect(fault == .invalid)
        continue
      }
      #expect(registered == kind && answer[0] == kind)
      #expect(text(answer, at: 4) == "3.1", "the version that becomes IntegrationServicesVersion")
      #expect(answer[8...].allSatisfy { $0 == 0 }, "nothing of the kernel's memory")
    }
    #expect(throws: DaemonFault.invalid) {
      _ = try message(7432) {
        _ = try KeyValueDaemonMessage.register([UInt8](repeating: 100, count: 7431).wire, answer: &$0)
      }
    }
  }

  @Test func keyValueSetOfEachType() throws {
    let (client, packet) = try request {
      $0.set(KeyValueItem(key: "schlüssel", value: .string("wert 🔑")), in: .external, id: 1, clock.now)
    }
    let bytes = try encoded(client, packet)
    #expect(Array(bytes[0..<4]) == [1, 0, 0, 0])
    #expect(Array(bytes[8..<16]) == [11, 0, 0, 0, 10, 0, 0, 0], "bytes of UTF-8 with the NUL")
    #expect(text(bytes, at: 16) == "schlüssel" && text(bytes, at: 528) == "wert 🔑")

    let values: [(KeyValueValue, String)] = [
      (.unsigned32(0), "0"), (.unsigned32(.max), "4294967295"), (.unsigned64(10), "10"),
      (.unsigned64(.max), "18446744073709551615"),
    ]
    for (value, wanted) in values {
      let (client, packet) = try request {
        $0.set(KeyValueItem(key: "k", value: value), in: .guest, id: 1, clock.now)
      }
      let bytes = try encoded(client, packet)
      #expect(bytes[1] == 1 && text(bytes, at: 528) == wanted)
      #expect(bytes[12] == UInt8(wanted.utf8.count + 1))
    }
  }

  @Test func keyValueDeleteEnumerateAndTheirAnswers() throws {
    var (client, packet) = try request { $0.delete("gone", in: .external, id: 1, clock.now) }
    var bytes = try encoded(client, packet)
    #expect(bytes[0] == 2 && Array(bytes[4..<8]) == [5, 0, 0, 0] && text(bytes, at: 8) == "gone")
    // ERROR_NO_MORE_ITEMS: there is no such key.
    for (index, byte) in ([0x03, 0x01, 0x07, 0x80] as [UInt8]).enumerated() { bytes[index] = byte }
    try packet.change { (raw: inout MutableRawSpan) throws(ClientFault) in
      try KeyValueDaemonMessage.answer(bytes.wire, registered: 100, by: &client, in: &raw)
    }
    #expect(packet.read(UInt32.self, at: 20) == IntegrationStatus.noMoreItems.rawValue)
    #expect(client.request == nil)

    (client, packet) = try request { $0.enumerate(.automatic, id: 1, clock.now) }
    bytes = try encoded(client, packet)
    #expect(bytes[0] == 3 && bytes[1] == 2 && Array(bytes[4..<8]) == [0, 0, 0, 0])
    for index in 0..<4 { bytes[index] = 0 }
    put("OSName", into: &bytes, at: 20)
    put("Débian", into: &bytes, at: 532)
    var answered = packet
    var answering = client
    try answered.change { (raw: inout MutableRawSpan) throws(ClientFault) in
      try KeyValueDaemonMessage.answer(bytes.wire, registered: 100, by: &answering, in: &raw)
    }
    #expect(answered.read(UInt32.self, at: 20) == 0)
    #expect(answered.read(UInt32.self, at: 40) == 14 && answered.read(UInt32.self, at: 44) == 14)
    var name = [UInt8](repeating: 0, count: 64)
    var span = name.mutableSpan
    var raw = unsafe span.mutableBytes
    let count = try WireText.utf8(from: answered.bytes.wire, at: 560, byteCount: 14, into: &raw)
    #expect(String(decoding: name.prefix(count), as: UTF8.self) == "Débian")

    // The oldest daemons say by an empty key that there is nothing.
    bytes[20] = 0
    try packet.change { (raw: inout MutableRawSpan) throws(ClientFault) in
      try KeyValueDaemonMessage.answer(bytes.wire, registered: 4, by: &client, in: &raw)
    }
    #expect(packet.read(UInt32.self, at: 20) == IntegrationStatus.noMoreItems.rawValue)
  }

  @Test func textsWithoutTerminatorAreCutAndTerminated() throws {
    var (client, packet) = try request {
      $0.set(KeyValueItem(key: "key", value: .string("value")), in: .external, id: 1, clock.now)
    }
    // 256 and 1024 units of three bytes each, no NUL anywhere.
    for unit in 0..<256 { packet.write(UInt16(0x20AC), at: 44 + 2 * unit) }
    for unit in 0..<1024 { packet.write(UInt16(0x20AC), at: 556 + 2 * unit) }
    packet.write(UInt32(512), at: 36)
    packet.write(UInt32(2048), at: 40)
    client.channelOpened()
    var negotiation = try { () throws -> Packet in
      var provider = KeyValueProvider()
      provider.channelOpened(clock.now)
      return try #require(provider.effects().sent.first)
    }()
    try negotiation.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
    try receive(&packet, by: &client)
    let bytes = try encoded(client, packet)
    #expect(text(bytes, at: 16) == String(repeating: "€", count: 170))
    #expect(text(bytes, at: 528) == String(repeating: "€", count: 682))
    #expect(Array(bytes[8..<16]) == [0xFF, 1, 0, 0, 0xFF, 7, 0, 0], "511 and 2047")
  }

  /// Whatever the daemon writes: an answer or an error, and the packet keeps its headers.
  @Test func nonsenseFromTheDaemon() throws {
    var random = SplitMix(seed: 5)
    for round in 0..<2000 {
      var (client, packet) = try request {
        switch round % 3 {
        case 0: $0.enumerate(.guest, id: 1, clock.now)
        case 1: $0.delete("key", in: .external, id: 1, clock.now)
        default: $0.set(KeyValueItem(key: "key", value: .string("value")), in: .external, id: 1, clock.now)
        }
      }
      let size = round % 7 == 0 ? Int(random.next() % 9000) : 7432
      var bytes = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if round % 2 == 0 { for index in 0..<min(4, size) { bytes[index] = 0 } }
      let before = packet.bytes.prefix(20)
      do throws(ClientFault) {
        try packet.change { (raw: inout MutableRawSpan) throws(ClientFault) in
          try KeyValueDaemonMessage.answer(bytes.wire, registered: round % 5 == 0 ? 4 : 100, by: &client, in: &raw)
        }
        #expect(packet.bytes[25] == 5, "a response")
      } catch {
        #expect(size < 7432)
      }
      #expect(packet.bytes.prefix(20) == before)
    }
  }

  // MARK: Snapshots

  @Test func snapshotMessages() throws {
    let old: [UInt8] = [128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    var new = old
    new[0] = 129
    #expect(try SnapshotDaemonMessage.isRegistration(old.wire) && SnapshotDaemonMessage.isRegistration(new.wire))
    var greets = false
    let greeting = try message(12) { greets = try SnapshotDaemonMessage.register(new.wire, answer: &$0) }
    #expect(greets && Array(greeting[0..<4]) == [129, 0, 0, 0])
    _ = try message(12) { greets = try SnapshotDaemonMessage.register(old.wire, answer: &$0) }
    #expect(!greets)
    #expect(
      try message(12) { try SnapshotDaemonMessage.encode(.freeze, into: &$0) } == [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    let failed: [UInt8] = [0x05, 0x40, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]
    #expect(try SnapshotDaemonMessage.result(failed.wire) == .failure)
    for size in [0, 1, 4, 11, 13, 7432] {
      let bytes = [UInt8](repeating: 129, count: size)
      #expect(throws: DaemonFault.invalid) { try SnapshotDaemonMessage.isRegistration(bytes.wire) }
      #expect(throws: DaemonFault.invalid) { try SnapshotDaemonMessage.result(bytes.wire) }
    }
  }

  // MARK: File copy

  @Test func fileCopySteps() throws {
    var packet = [UInt8](repeating: 0, count: 28 + FileCopyWrite.bodySize)
    func put(_ text: String, at offset: Int) {
      for (index, unit) in text.utf16.enumerated() {
        packet[offset + 2 * index] = UInt8(truncatingIfNeeded: unit)
        packet[offset + 2 * index + 1] = UInt8(truncatingIfNeeded: unit >> 8)
      }
    }
    put("Grüße 鍵.txt", at: 64)
    put("/tmp/ä", at: 584)
    let start = FileCopyClient.Request.start(nameOffset: 64, folderOffset: 584, flags: .overwrite, size: 0x1_0000_0002)
    var size = 0
    var bytes = try message(FileCopyDaemonMessage.byteCount) {
      size = try FileCopyDaemonMessage.encode(start, from: packet.wire, into: &$0)
    }
    #expect(size == 1088 && Array(bytes[0..<4]) == [0, 0, 0, 0])
    #expect(text(bytes, at: 36) == "Grüße 鍵.txt" && text(bytes, at: 556) == "/tmp/ä")
    #expect(bytes[1076] == 1 && Array(bytes[1080..<1088]) == [2, 0, 0, 0, 1, 0, 0, 0])

    for index in 0..<6144 { packet[80 + index] = UInt8(truncatingIfNeeded: index) }
    let write = FileCopyClient.Request.write(offset: 6144, count: 13, dataOffset: 80)
    bytes = try message(FileCopyDaemonMessage.byteCount) {
      size = try FileCopyDaemonMessage.encode(write, from: packet.wire, into: &$0)
    }
    #expect(size == 6196 && bytes[0] == 1 && Array(bytes[40..<52]) == [0, 24, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0])
    #expect(Array(bytes[52..<65]) == Array(0..<13) && bytes[68...].allSatisfy { $0 == 0 })

    for (step, operation) in [(FileCopyClient.Request.complete, 2), (.cancel, 3)] as [(FileCopyClient.Request, UInt8)] {
      bytes = try message(FileCopyDaemonMessage.byteCount) {
        size = try FileCopyDaemonMessage.encode(step, from: packet.wire, into: &$0)
      }
      #expect(size == 36 && bytes[0] == operation)
    }
  }

  @Test func aNameThatDoesNotFitIsRefusedAndNotCut() throws {
    for (count, fits) in [(173, true), (174, false), (259, false)] {
      var packet = [UInt8](repeating: 0, count: 2000)
      for index in 0..<count { (packet[64 + 2 * index], packet[65 + 2 * index]) = (0xAC, 0x20) }
      let start = FileCopyClient.Request.start(nameOffset: 64, folderOffset: 584, flags: .overwrite, size: 1)
      var encoded = true
      _ = try message(FileCopyDaemonMessage.byteCount) {
        do throws(WireError) { _ = try FileCopyDaemonMessage.encode(start, from: packet.wire, into: &$0) } catch {
          encoded = false
        }
      }
      #expect(encoded == fits, "\(count) characters of three bytes")
    }
  }

  @Test func fileCopyRegistrationsAndReplies() throws {
    for (bytes, size) in [([0, 0, 0, 0], 0), ([1, 0, 0, 0], 4)] as [([UInt8], Int)] {
      var found = -1
      let answer = try message(8) { found = try FileCopyDaemonMessage.register(bytes.wire, answer: &$0) }
      #expect(found == size && (size == 0 || answer[0] == 1))
    }
    for bytes in [[2, 0, 0, 0], [255, 255, 255, 255], [], [1], [1, 0, 0, 0, 0]] as [[UInt8]] {
      #expect(throws: DaemonFault.invalid) {
        _ = try message(8) { _ = try FileCopyDaemonMessage.register(bytes.wire, answer: &$0) }
      }
    }
    let exists: [UInt8] = [0x50, 0, 7, 0x80]
    #expect(try FileCopyDaemonMessage.result(exists.wire) == .fileExists)
  }
}

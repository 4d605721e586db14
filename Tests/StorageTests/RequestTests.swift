// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import ServiceProviders

@Suite struct RequestTests {
  private typealias Guest = ScriptedGuest
  static let ready: [UInt8] = [0, 0, 0, 0, 0, 0]
  static let read: [UInt8] = [0x28, 0, 0, 0, 0, 9, 0, 0, 8, 0]

  private func connected(_ configuration: StorageConfiguration = StorageConfiguration()) throws -> ScriptedGuest {
    var guest = ScriptedGuest(configuration)
    try guest.connect()
    return guest
  }

  @Test func dataAreTheLesserOfBoth() throws {
    var guest = try connected()
    for (range, length) in [(4096, 4096), (4096, 512), (512, 4096), (0, 512), (4096, 0)] as [(UInt32, UInt32)] {
      let tail = Guest.tail(1, byteCount: range, offset: 100, frames: [5, 6])
      let request = try #require(
        try guest.send(Guest.command(Self.read, length: length), type: .gpaDirect, tail: tail))
      #expect(request.byteCount == min(range, length))
      #expect((request.segments == nil) == (request.byteCount == 0))
      guest.channel.complete(request.id, .good())
    }
    // In-band, whatever length it says.
    let request = try #require(try guest.send(Guest.command(Self.read, length: 4096)))
    #expect(request.byteCount == 0 && request.segments == nil)
    guest.channel.complete(request.id, .good())
    #expect(try guest.answers().count == 6)
  }

  @Test func commandArrivesAsSent() throws {
    var guest = try connected()
    let request = try #require(try guest.send(Guest.command(Self.read, unit: 63), id: .max))
    #expect(request.command.operation == .read10 && request.command.byteCount == 10)
    #expect(request.command.uint32(at: 2) == 9 && request.unit == 63)
    // Elsewhere.
    #expect(try guest.send(Guest.command(Self.read, path: 1)).map { $0.unit == nil } == true)
    #expect(try guest.send(Guest.command(Self.read, target: 1)).map { $0.unit == nil } == true)
    #expect(try guest.send(Guest.command(Self.read, unit: 255))?.unit == 255)
    // Bytes behind the command's end do not count.
    let short = try #require(try guest.send(Guest.command(Self.read, commandLength: 6)))
    #expect(short.command.byteCount == 6 && short.command.uint16(at: 7) == 0)
    #expect(guest.channel.executing == 5)
  }

  /// Quirk `srb-status-6.1`: no status that Linux 6.1 does not know.
  @Test func outcomesBecomeStatuses() throws {
    let sense = SenseData(.illegalRequest, .invalidFieldInCommand)
    let table: [(SCSIOutcome, [UInt8], UInt32)] = [
      (.good(byteCount: 512), [0x01, 0], 512),
      (.good(byteCount: 9999), [0x01, 0], 4096),
      (.check(.illegalRequest, .invalidFieldInCommand), [0x84, 2], 0),
      (SCSIOutcome(status: .busy), [0x04, 8], 0),
      (.noUnit, [0x20, 0], 0),
      (.aborted, [0x02, 0], 0),
      (.invalid, [0x06, 0], 0),
    ]
    var guest = try connected()
    for (outcome, verdict, byteCount) in table {
      let tail = Guest.tail(1, byteCount: 4096, frames: [5])
      let request = try #require(
        try guest.send(Guest.command(Self.read, length: 4096), type: .gpaDirect, tail: tail))
      guest.channel.complete(request.id, outcome)
      let answer = try #require(try guest.answers().first)
      #expect(answer.verdict == verdict && answer.byteCount == byteCount && answer.operation == 1)
      #expect(answer.bytes[21] == (outcome.sense == nil ? 0 : 18))
      if outcome.sense != nil {
        #expect(Array(answer.bytes[28..<46]) == [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0, 0, 0])
        #expect(outcome.sense == sense)
      } else {
        #expect(answer.bytes[28..<48].allSatisfy { $0 == 0 })
      }
    }
  }

  /// Group "Rings" of the hostile inputs: ranges that contradict themselves fail their request, and nothing else.
  @Test func rangesThatLie() throws {
    var guest = try connected()
    let tails: [[UInt8]] = [
      Guest.tail(0, byteCount: 4096, frames: [5]), Guest.tail(.max, byteCount: 4096, frames: [5]),
      Guest.tail(2, byteCount: 4096, frames: [5]), Guest.tail(1, byteCount: 4097, frames: [5]),
      Guest.tail(1, byteCount: .max, frames: [5]), Guest.tail(1, byteCount: 1, offset: 4096, frames: [5]),
      Guest.tail(1, byteCount: 1, offset: .max, frames: [5]), [], [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    for tail in tails {
      #expect(
        try guest.send(Guest.command(Self.read, length: 4096), type: .gpaDirect, tail: tail) == nil)
      let answers = try guest.answers()
      #expect(answers.count == 1 && answers.first?.verdict == [0x06, 0] && answers.first?.byteCount == 0)
    }
    #expect(guest.channel.counters.malformed == UInt64(tails.count))
    // A frame that no address reaches is found when the list is walked.
    let request = try #require(
      try guest.send(
        Guest.command(Self.read, length: 4096), type: .gpaDirect,
        tail: Guest.tail(1, byteCount: 4096, frames: [.max])))
    guest.channel.complete(request.id, .invalid)
    #expect(try guest.answers().first?.verdict == [0x06, 0])
    #expect(try guest.send(Guest.command(Self.ready)) != nil)
  }

  @Test func longerThanAnnounced() throws {
    var guest = try connected(StorageConfiguration(maximumTransferBytes: 8192))
    let frames: [UInt64] = [5, 6, 7]
    #expect(
      try guest.send(
        Guest.command(Self.read, length: 8193), type: .gpaDirect, tail: Guest.tail(1, byteCount: 12288, frames: frames))
        == nil)
    #expect(try guest.answers().first?.verdict == [0x06, 0])
    #expect(
      try guest.send(
        Guest.command(Self.read, length: 8192), type: .gpaDirect, tail: Guest.tail(1, byteCount: 12288, frames: frames))?
        .byteCount == 8192)
  }

  /// Each known size, one less, one more. The ring rounds lengths up to 8.
  @Test func packetSizes() throws {
    for count in [0, 3, 4, 8, 11, 12, 47, 48, 49, 63, 64, 65, 72, 4096] {
      var guest = try connected()
      let packet = Array((Guest.command(Self.ready) + Array(repeating: 0, count: 4096)).prefix(count))
      let request = try guest.send(packet)
      #expect((request != nil) == (count > 56), "\(count)")
      if request == nil {
        let answers = try guest.answers()
        #expect(answers.count == 1 && answers[0].status != 0, "\(count)")
      }
      #expect(try guest.send(Guest.command(Self.ready)) != nil)
    }
  }

  @Test func commandBeforeTheHandshake() throws {
    var guest = ScriptedGuest()
    let answer = try #require(try guest.ask(Guest.command(Self.ready)))
    #expect(answer.status == HandshakeTests.wrongState && answer.bytes.count == 64)
    #expect(guest.channel.counters.refused == 1)
    try guest.connect()
    #expect(try guest.send(Guest.command(Self.ready)) != nil)
  }

  @Test func foreignPackets() throws {
    var guest = try connected()
    for type in [1, 2, 5, 7, 8, 10, 12, 13, 99] as [UInt16] {
      try guest.send(Guest.command(Self.ready), type: PacketType(rawValue: type))
      #expect(try guest.answers().first?.status == HandshakeTests.invalid)
    }
    // A completion answers nothing, and is not answered.
    try guest.send(Guest.command(Self.ready), type: .completion)
    #expect(try guest.answers().isEmpty)
    #expect(guest.channel.counters.malformed == 10)
  }

  /// Ids may repeat, be 0 or all ones: each packet is answered, once.
  @Test func transactionIDsAreEchoed() throws {
    var guest = try connected()
    var requests: [StorageRequest] = []
    for id in [0, .max, 9, 9, 9] as [UInt64] {
      requests.append(try #require(try guest.send(Guest.command(Self.ready), id: id)))
    }
    for request in requests.reversed() { guest.channel.complete(request.id, .good()) }
    #expect(try guest.answers().map(\.id) == [9, 9, 9, .max, 0])
  }

  /// What nobody wants to hear about is done all the same.
  @Test func silentRequests() throws {
    var guest = try connected(StorageConfiguration(slotsPerChannel: 2))
    for _ in 0..<10 {
      let request = try #require(try guest.send(Guest.command(Self.ready), wantsAnswer: false))
      guest.channel.complete(request.id, .good())
      #expect(try guest.answers().isEmpty)
    }
  }

  /// The guest does not read its ring: answers wait, and reading stops when every slot is taken.
  @Test func fullRing() throws {
    var guest = ScriptedGuest(StorageConfiguration(slotsPerChannel: 64), ringBytes: 4096)
    try guest.connect()
    var sent = 0
    while guest.channel.canReceive {
      let request = try #require(try guest.send(Guest.command(Self.ready), id: UInt64(sent)))
      sent += 1
      guest.channel.complete(request.id, .good())
    }
    #expect(sent == 64)
    // 4096 bytes hold 46 answers of 88.
    let delivery = try guest.channel.deliver(to: &guest.hostWriter)
    #expect(delivery.isBlocked && delivery.signal && guest.channel.counters.blocked == 1)
    #expect(guest.channel.hasAnswers == true)
    #expect(guest.channel.canReceive == true)
    let first = try guest.answers()
    let second = try guest.answers()
    #expect(first.map(\.id) + second.map(\.id) == (0..<64).map { UInt64($0) })
    #expect(guest.channel.hasAnswers == false)
  }

  @Test func notices() throws {
    var guest = ScriptedGuest()
    // Before the handshake is over the guest scans anyway.
    guest.channel.unitsChanged()
    #expect(try guest.answers().isEmpty)
    try guest.connect()
    for _ in 0..<5 { guest.channel.unitsChanged() }
    let answers = try guest.answers()
    #expect(answers.count == 1)
    #expect(
      answers[0].id == 0 && answers[0].type == .inBand && answers[0].operation == 11 && answers[0].bytes.count == 64)
    // Sub-channels say nothing.
    guest.open(1)
    guest.channel.unitsChanged()
    #expect(try guest.answers().isEmpty)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceProviders
import Testing
import VMBus

/// What a guest may try. After each of them the adapter works as before.
@Suite struct HostileNetworkGuestTests {
  // MARK: Order

  @Test func everyMessageBeforeTheVersion() {
    let guest = ScriptedNetworkGuest()
    #expect(guest.ask(.ndisVersion(major: 6, minor: 30)) == nil)
    #expect(guest.ask(.configuration(frameSize: 1514, .vlan)) == nil)
    if case .receiveBufferComplete(.failure, _, _) = guest.ask(.receiveBuffer(ScriptedNetworkGuest.receive, id: 1)) {
    } else {
      Issue.record("a buffer before the version")
    }
    #expect(
      guest.ask(.sendBuffer(ScriptedNetworkGuest.send, id: 1)) == .sendBufferComplete(.failure, sectionSize: 0))
    #expect(guest.ask(.requestSubChannels(operation: 1, count: 1)) == .subChannels(.failure, count: 0))
    #expect(guest.ask(.revokeReceiveBuffer(id: 0xCAFE)) == nil && guest.ask(.revokeSendBuffer(id: 0)) == nil)
    #expect(guest.ask(.switchDataPath(0)) == nil)
    #expect(guest.transmit(ScriptedNetworkGuest.bytes(frame(60))) == .failure)
    #expect(guest.control(ScriptedNetworkGuest.bytes(.keepAlive(id: 3))).0 == .failure)
    #expect(guest.counters.refused >= 9 && guest.sent.isEmpty)
    guest.connect()
    #expect(guest.isAlive())
  }

  @Test func everyMessageTwice() {
    let guest = ScriptedNetworkGuest.ready(configuration(subChannels: 3))
    // Not while buffers are in use.
    if case .initializeComplete(_, _, .failure) = guest.ask(.initialize(minimum: .v6_1, maximum: .v6_1)) {
    } else {
      Issue.record("a second beginning")
    }
    if case .receiveBufferComplete(.failure, _, _) = guest.ask(.receiveBuffer(ScriptedNetworkGuest.receive, id: 1)) {
    } else {
      Issue.record("a second receive buffer")
    }
    #expect(
      guest.ask(.sendBuffer(ScriptedNetworkGuest.send, id: 0)) == .sendBufferComplete(.failure, sectionSize: 0))
    #expect(guest.ask(.configuration(frameSize: 9014, .vlan)) == nil)
    #expect(guest.host.provider.settings.mtu == 1500)
    #expect(guest.ask(.requestSubChannels(operation: 1, count: 2)) == .subChannels(.success, count: 2))
    #expect(guest.ask(.requestSubChannels(operation: 1, count: 2)) == .subChannels(.failure, count: 0))
    #expect(guest.isAlive())
    // RNDIS may begin again; what was set is gone.
    #expect(guest.rndis(.initialize(id: 1, major: 1, minor: 0, maximumTransfer: 0)) != nil)
    #expect(guest.host.settings?.filter == NetworkPacketFilter.none)
    #expect(guest.set(.packetFilter, [0x0D, 0, 0, 0]) == .success && guest.isAlive())
  }

  @Test func versions() {
    let guest = ScriptedNetworkGuest(configuration(.v5))
    for (minimum, maximum) in [
      (0, 0), (1, 1), (0x70000, 0x70000), (0x60001, 0x60001), (0x30002, 0x40000), (UInt32.max, UInt32.max),
    ] as [(UInt32, UInt32)] {
      let answer = guest.ask(
        .initialize(minimum: NVSPVersion(rawValue: minimum), maximum: NVSPVersion(rawValue: maximum)))
      guard case .initializeComplete(_, _, let status) = answer else {
        Issue.record("no answer to \(minimum)")
        continue
      }
      #expect(status != .success, "\(minimum) \(maximum)")
    }
    guest.connect(.v5)
    #expect(guest.isAlive())
  }

  // MARK: Buffers

  @Test(arguments: [0, 1, 64, 4096, 1727 * 2, 3455] as [UInt64]) func receiveBufferTooSmall(_ byteCount: UInt64) {
    let guest = ScriptedNetworkGuest()
    _ = guest.ask(.initialize(minimum: .v6_1, maximum: .v6_1))
    guest.host.gpadls[GPADLID(9)] = NetworkBuffer(frames: guest.receiveFrames, byteCount: byteCount)
    let answer = guest.ask(.receiveBuffer(GPADLID(9), id: 0xCAFE))
    guard case .receiveBufferComplete(let status, let sections, let section) = answer else {
      Issue.record("no answer")
      return
    }
    // Room for one control message and one frame is enough.
    #expect((status == .success) == (byteCount >= 3456))
    if status == .success {
      #expect(sections == 1 && UInt64(section.byteCount) * UInt64(section.count) <= byteCount)
    } else {
      guest.connect()
      #expect(guest.isAlive())
    }
  }

  @Test func receiveBufferThatDoesNotExist() {
    let guest = ScriptedNetworkGuest()
    _ = guest.ask(.initialize(minimum: .v6_1, maximum: .v6_1))
    for id: UInt32 in [0, 99, .max] {
      guard case .receiveBufferComplete(.failure, _, _) = guest.ask(.receiveBuffer(GPADLID(id), id: 1)) else {
        Issue.record("a buffer that is not there")
        return
      }
      #expect(guest.ask(.sendBuffer(GPADLID(id), id: 1)) == .sendBufferComplete(.failure, sectionSize: 0))
    }
    guest.connect()
    #expect(guest.isAlive())
  }

  /// 1 GiB: what we keep about it is bounded.
  @Test func hugeReceiveBuffer() {
    let guest = ScriptedNetworkGuest()
    _ = guest.ask(.initialize(minimum: .v6_1, maximum: .v6_1))
    guest.host.gpadls[GPADLID(9)] = NetworkBuffer(frames: Array(repeating: guest.receiveFrames[0], count: 1 << 18))
    guard case .receiveBufferComplete(.success, 1, let section) = guest.ask(.receiveBuffer(GPADLID(9), id: 0xCAFE))
    else {
      Issue.record("refused")
      return
    }
    #expect(section.count == 65536)
  }

  @Test func receiveBufferInNoMemory() {
    let guest = ScriptedNetworkGuest()
    guest.host.gpadls[ScriptedNetworkGuest.receive] = NetworkBuffer(frames: Array(repeating: 1 << 40, count: 64))
    _ = guest.ask(.initialize(minimum: .v6_1, maximum: .v6_1))
    _ = guest.ask(.receiveBuffer(ScriptedNetworkGuest.receive, id: 0xCAFE))
    _ = guest.ask(.sendBuffer(ScriptedNetworkGuest.send, id: 0))
    // The answer cannot be given.
    let (status, answer) = guest.control(
      ScriptedNetworkGuest.bytes(.initialize(id: 1, major: 1, minor: 0, maximumTransfer: 0)))
    #expect(status == .success && answer == nil)
    #expect(throws: ReceiveRefusal.unwanted) { try guest.host.bring(frame(60), to: 0) }
    _ = guest.ask(.revokeReceiveBuffer(id: 0xCAFE))
    _ = guest.ask(.revokeSendBuffer(id: 0))
    guest.host.gpadls[ScriptedNetworkGuest.receive] = NetworkBuffer(frames: guest.receiveFrames)
    guest.connect()
    #expect(guest.isAlive())
  }

  /// With frames under way both ways; what comes late is nobody's any more.
  @Test func revokedWithPacketsOutstanding() throws {
    let guest = ScriptedNetworkGuest.ready()
    for _ in 0..<10 { try guest.host.bring(frame(100), to: 0) }
    guest.host.serve(0)
    let outstanding = guest.take(answering: false)
    try guest.host.bring(frame(100), to: 0)
    guest.tell(.revokeReceiveBuffer(id: 0xCAFE))
    guest.tell(.revokeSendBuffer(id: 0))
    #expect(throws: ReceiveRefusal.unwanted) { try guest.host.bring(frame(60), to: 0) }
    for packet in outstanding { guest.giveBack(packet.id) }
    #expect(guest.counters.malformed == UInt64(outstanding.count) && guest.host.ports[0]?.channel.isIdle == true)
    guest.connect()
    #expect(guest.isAlive())
  }

  @Test func sendSections() {
    let guest = ScriptedNetworkGuest.ready()
    let count = UInt32(24 * 4096 / 6144)
    let message = ScriptedNetworkGuest.bytes(frame(100))
    guest.memory.write(message, at: (Int(count) - 1) * 6144, of: guest.sendFrames)
    for (section, size) in [(count, 144), (count + 1, 144), (0xFFFF_FFFE, 144), (0, 6145), (0, UInt32.max)] {
      guest.post(
        ScriptedNetworkGuest.bytes(NVSPPacket(isControl: false, section: section, sectionByteCount: size)), id: 3)
      #expect(guest.status(3) == .failure, "\(section) \(size)")
    }
    // Empty, or too short for a message.
    for size: UInt32 in [1, 43, 143] {
      guest.post(
        ScriptedNetworkGuest.bytes(NVSPPacket(isControl: false, section: count - 1, sectionByteCount: size)), id: 3)
      #expect(guest.status(3) == .invalidPacket, "\(size)")
    }
    guest.post(
      ScriptedNetworkGuest.bytes(NVSPPacket(isControl: false, section: count - 1, sectionByteCount: 144)), id: 3)
    #expect(guest.status(3) == .success && guest.sent.count == 1)
    #expect(guest.isAlive())
  }

  // MARK: RNDIS

  @Test func lengthsThatLie() {
    let guest = ScriptedNetworkGuest.ready()
    let good = ScriptedNetworkGuest.bytes(frame(100), padding: 12)
    let table: [UInt32] = [0, 1, 8, 43, 157, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF8, .max]
    for place in [4, 8, 12, 28, 32] {
      for value in table {
        var bytes = good
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
        let status = guest.transmit(bytes)
        #expect(status == .success || status == .invalidPacket, "\(place) \(value)")
      }
    }
    #expect(guest.counters.malformed > 20)
    #expect(guest.isAlive())
  }

  @Test func badElementInTheMiddle() {
    let guest = ScriptedNetworkGuest.ready()
    let good = ScriptedNetworkGuest.bytes(frame(100), padding: 8)
    var bad = good
    bad[0] = 9
    #expect(guest.transmit(good + bad + good) == .invalidPacket)
    // What came before it has been sent; where the next one begins is not known.
    #expect(guest.sent.count == 1)
    // A sound message with a frame that is none: the others go.
    let short = ScriptedNetworkGuest.bytes(frame(13), padding: 3)
    #expect(guest.transmit(good + short + good) == .invalidPacket)
    #expect(guest.sent.count == 3 && guest.counters.transmitErrors == 1)
    #expect(guest.isAlive())
  }

  @Test func moreFramesThanAMessageMayHave() {
    let guest = ScriptedNetworkGuest.ready()
    let small = ScriptedNetworkGuest.bytes(frame(14), padding: 6)
    #expect(guest.transmit(Array(repeatElement(small, count: 64).joined())) == .success)
    #expect(guest.sent.count == 64)
    #expect(guest.transmit(Array(repeatElement(small, count: 65).joined())) == .invalidPacket)
    #expect(guest.isAlive())
  }

  @Test(arguments: [0, 1, 13, 14, 1514, 1515, 1519, 9014, 65536]) func frameSizes(_ count: Int) {
    let guest = ScriptedNetworkGuest.ready()
    let isSound = count >= 14 && count <= 1514
    #expect(guest.transmit(ScriptedNetworkGuest.bytes(frame(count))) == (isSound ? .success : .invalidPacket))
    #expect(guest.sent.count == (isSound ? 1 : 0))
    #expect(guest.isAlive())
  }

  /// A tag in the frame comes on top of the MTU.
  @Test func taggedFrameSizes() {
    let guest = ScriptedNetworkGuest.ready()
    for (count, isSound) in [(1518, true), (1519, false)] {
      var bytes = frame(count)
      bytes.replaceSubrange(12..<16, with: [0x81, 0x00, 0x00, 0x05])
      #expect(guest.transmit(ScriptedNetworkGuest.bytes(bytes)) == (isSound ? .success : .invalidPacket))
    }
    #expect(guest.isAlive())
  }

  @Test func memoryThatTheGuestDoesNotHave() {
    let guest = ScriptedNetworkGuest.ready()
    for frameNumber: UInt64 in [0, 0xA0, 1 << 40, 1 << 52, .max] {
      let tail = NetworkGuest.tail([(200, 0, [frameNumber])])
      let status = guest.transmit([], tail: tail)
      #expect(status == .invalidPacket || status == .failure)
    }
    #expect(guest.isAlive())
  }

  @Test func rangesThatLie() {
    let guest = ScriptedNetworkGuest.ready()
    var good = NetworkGuest.tail([(200, 0, [guest.data[0]])])
    #expect(guest.transmit(ScriptedNetworkGuest.bytes(frame(100), padding: 56), tail: good) == .success)
    for (place, value) in [(4, 0), (4, 2), (4, UInt32.max), (8, 5000), (8, .max), (12, 4096), (12, .max)]
      as [(Int, UInt32)]
    {
      var tail = good
      for index in 0..<4 { tail[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
      #expect(guest.transmit([], tail: tail) == .failure, "\(place) \(value)")
    }
    good.removeLast(8)
    #expect(guest.transmit([], tail: good) == .failure)
    #expect(guest.isAlive())
  }

  // MARK: Legal, but odd

  @Test func headerAcrossPages() {
    let guest = ScriptedNetworkGuest.ready()
    for offset in [4096 - 1, 4096 - 20, 4096 - 43, 4096 - 50, 4096 - 60] {
      var information = PacketInformation()
      information.hash = 5
      #expect(guest.transmit(ScriptedNetworkGuest.bytes(frame(300), information), at: offset) == .success)
      #expect(guest.sent.last == SentFrame(bytes: frame(300), hash: 5))
    }
  }

  @Test func emptyFragments() {
    let guest = ScriptedNetworkGuest.ready()
    let bytes = ScriptedNetworkGuest.bytes(frame(300))
    guest.memory.write(bytes, at: 0, of: guest.data)
    let page = [guest.data[0]]
    let tail = NetworkGuest.tail([
      (0, 0, []), (44, 0, page), (0, 44, page), (100, 44, page), (0, 0, []), (200, 144, page), (0, 0, []),
    ])
    #expect(guest.transmit(bytes, tail: tail) == .success)
    #expect(guest.sent == [SentFrame(bytes: frame(300))])
  }

  @Test func dataAtTheVeryLastByte() {
    let guest = ScriptedNetworkGuest.ready()
    let bytes = ScriptedNetworkGuest.bytes(frame(100))
    #expect(guest.transmit(bytes, at: 4096 - bytes.count) == .success)
    // And of the last section.
    let count = 24 * 4096 / 6144
    let long = ScriptedNetworkGuest.bytes(frame(1514), padding: 6144 - 44 - 1514)
    guest.memory.write(long, at: (count - 1) * 6144, of: guest.sendFrames)
    guest.post(
      ScriptedNetworkGuest.bytes(
        NVSPPacket(isControl: false, section: UInt32(count - 1), sectionByteCount: 6144)), id: 3)
    #expect(guest.status(3) == .success)
    #expect(guest.sent == [SentFrame(bytes: frame(100)), SentFrame(bytes: frame(1514))])
  }

  @Test func aThousandFragmentsOfOneByte() {
    let guest = ScriptedNetworkGuest.ready()
    let bytes = ScriptedNetworkGuest.bytes(frame(1000 - 44))
    guest.memory.write(bytes, at: 0, of: guest.data)
    let tail = NetworkGuest.tail((0..<1000).map { (1, $0, [guest.data[0]]) })
    #expect(guest.transmit(bytes, tail: tail) == .success)
    #expect(guest.sent == [SentFrame(bytes: frame(1000 - 44))])
  }

  /// The records behind the frame, and room between everything.
  @Test func messagePartsInAnotherOrder() {
    let guest = ScriptedNetworkGuest.ready()
    var information = PacketInformation()
    information.vlan = NetworkVLAN(tag: 77)
    var bytes = ScriptedNetworkGuest.bytes(frame(100), information, padding: 64)
    let records = Array(bytes[44..<60])
    // Frame at 60, records at 180.
    bytes.replaceSubrange(180..<196, with: records)
    bytes.replaceSubrange(44..<60, with: repeatElement(0xEE, count: 16))
    bytes[28] = 172
    #expect(guest.transmit(bytes) == .success)
    #expect(guest.sent == [SentFrame(bytes: frame(100), tag: 77)])
  }

  @Test func transactionIDsAreEchoed() {
    let guest = ScriptedNetworkGuest.ready()
    for id: UInt64 in [0, 1, .max, .max - 2, 1 << 63] {
      guest.post(
        ScriptedNetworkGuest.bytes(NVSPPacket(isControl: false, section: 0, sectionByteCount: 0)), id: id)
      _ = guest.status(id)
      #expect(guest.ask(.initialize(minimum: .v1, maximum: .v1), id: id) != nil)
    }
  }

  // MARK: Floods and strange packets

  @Test func foreignPackets() {
    let guest = ScriptedNetworkGuest.ready()
    for type: UInt16 in [0, 1, 5, 7, 8, 10, 12, 77, .max] {
      guest.post(
        [UInt8](repeating: 1, count: 40), id: 5, type: PacketType(rawValue: type), tail: [0, 0, 0, 0, 0, 0, 0, 0])
      #expect(guest.take().count == 1)
    }
    for payload in [[], [107], [107, 0, 0, 0], [1, 0, 0, 0, 2], [0xFF, 0xFF, 0xFF, 0xFF]] as [[UInt8]] {
      guest.post(payload, id: 5)
      #expect(guest.take().count == 1)
    }
    for type: UInt32 in 0...140 where type != 1 && type != 101 && type != 104 && type != 103 && type != 106 {
      guest.post([UInt8(type), 0, 0, 0] + [UInt8](repeating: 0xFF, count: 36), id: 5)
      #expect(guest.take().count == 1, "\(type)")
    }
    // Completions for nothing, of a section in the middle of nowhere, twice.
    for id: UInt64 in [0, 1, 50, 1000, .max] { guest.giveBack(id) }
    #expect(guest.isAlive())
  }

  /// More questions than answers fit: the later ones are refused, memory stays bounded.
  @Test func floodOfControlMessages() {
    let guest = ScriptedNetworkGuest.ready()
    let bytes = ScriptedNetworkGuest.bytes(.query(id: 5, .supportedList, information: .none))
    guest.memory.write(bytes, at: 0, of: guest.data)
    let tail = NetworkGuest.tail([(bytes.count, 0, [guest.data[0]])])
    var answers = 0
    var busy = 0
    var held: [UInt64] = []
    for id in 0..<2000 {
      guest.post(
        ScriptedNetworkGuest.bytes(NVSPPacket(isControl: true)), id: UInt64(id), type: .gpaDirect, tail: tail)
      for inbound in guest.take(answering: false) {
        if inbound.type == .transferPages {
          answers += 1
          held.append(inbound.id)
        } else if inbound.payload.prefix(8) == [108, 0, 0, 0, 6, 0, 0, 0] {
          busy += 1
        }
      }
    }
    #expect(busy > 1000 && answers < 200 && answers + busy <= 2000)
    while !held.isEmpty {
      let ids = held
      held = []
      for id in ids { guest.giveBack(id) }
      held = guest.take(answering: false).filter { $0.type == .transferPages }.map(\.id)
    }
    #expect(guest.isAlive())
  }

  /// A guest that does not read: the host stops reading it, and goes on later.
  @Test func aGuestThatStopsReading() {
    let guest = ScriptedNetworkGuest.ready()
    let bytes = ScriptedNetworkGuest.bytes(NVSPPacket(isControl: false))
    var posted = 0
    for id in 0..<3000 {
      do throws(RingError) {
        try guest.writer.write(
          type: .inBand, completionRequested: true, transactionID: UInt64(id), payload: unsafe bytes.span.bytes)
        posted += 1
      } catch {
        break
      }
      _ = guest.writer.commit()
      guest.host.serve(0)
    }
    #expect(guest.host.ports[0]?.channel.canReceive == false && guest.counters.blocked > 0)
    var answered = 0
    for _ in 0..<100 {
      answered += guest.take().count
      guest.host.serve(0)
    }
    #expect(answered == posted)
    #expect(guest.isAlive())
  }

  @Test func resetAndHalt() {
    let guest = ScriptedNetworkGuest.ready()
    #expect(guest.rndis(.reset) == .resetComplete(.success, addressing: false))
    #expect(guest.isAlive())
    #expect(guest.rndis(.keepAlive(id: 44)) == .keepAliveComplete(id: 44, .success))
    #expect(guest.rndis(.halt(id: 45)) == nil)
    #expect(throws: ReceiveRefusal.unwanted) { try guest.host.bring(frame(60), to: 0) }
    #expect(guest.transmit(ScriptedNetworkGuest.bytes(frame(60))) == .failure)
    #expect(guest.query(.permanentAddress).0 == .failure && guest.set(.packetFilter, [1, 0, 0, 0]) == .failure)
    _ = guest.rndis(.initialize(id: 46, major: 1, minor: 0, maximumTransfer: 0))
    #expect(guest.set(.packetFilter, [0x0D, 0, 0, 0]) == .success && guest.isAlive())
    // A version of RNDIS that there is not.
    guard
      case .initializeComplete(let answer) = guest.rndis(.initialize(id: 47, major: 2, minor: 0, maximumTransfer: 0))
    else {
      Issue.record("no answer")
      return
    }
    #expect(answer.status == .notSupported)
  }

  @Test func sentFloodOfFramesToTheGuest() {
    let guest = ScriptedNetworkGuest.ready()
    var placed = 0
    var exhausted = 0
    for _ in 0..<100_000 {
      do throws(ReceiveRefusal) {
        try guest.host.bring(frame(60), to: 0)
        placed += 1
      } catch {
        #expect(error == .exhausted)
        exhausted += 1
      }
    }
    #expect(placed < 200 && exhausted == 100_000 - placed)
    #expect(guest.counters.receiveExhausted == UInt64(exhausted))
    #expect(guest.host.ports[0]?.channel.takeRoom() == false)
    guest.host.serve(0)
    _ = guest.take()
    #expect(guest.host.ports[0]?.channel.takeRoom() == true)
    #expect(guest.host.ports[0]?.channel.takeRoom() == false)
    guest.host.serve(0)
    _ = guest.take()
    #expect(guest.isAlive())
  }

  /// A control answer finds a section, however many frames the guest keeps.
  @Test func answersDoNotStarve() throws {
    let guest = ScriptedNetworkGuest.ready()
    while (try? guest.host.bring(frame(60), to: 0)) != nil {}
    guest.host.serve(0)
    _ = guest.take(answering: false)
    #expect(guest.query(.permanentAddress).0 == .success)
  }

  @Test func subChannels() {
    let guest = ScriptedNetworkGuest.ready(configuration(subChannels: 3))
    for (operation, count) in [(0, 1), (2, 1), (1, 0), (UInt32.max, 1)] as [(UInt32, UInt32)] {
      #expect(guest.ask(.requestSubChannels(operation: operation, count: count)) == .subChannels(.failure, count: 0))
    }
    // More than there are: as many as there are.
    #expect(guest.ask(.requestSubChannels(operation: 1, count: .max)) == .subChannels(.success, count: 3))
    #expect(guest.host.offered == 3)
    #expect(guest.isAlive())
    let alone = ScriptedNetworkGuest.ready()
    #expect(alone.ask(.requestSubChannels(operation: 1, count: 1)) == .subChannels(.failure, count: 0))
    let old = ScriptedNetworkGuest(configuration(.v4, subChannels: 3))
    old.connect(.v4)
    #expect(old.ask(.requestSubChannels(operation: 1, count: 1)) == .subChannels(.failure, count: 0))
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import DeviceProtocols

@Suite struct RNDISMessageTests {
  static let messages: [(RNDISMessage, Golden, Int, [UInt8])] = [
    (
      .initialize(id: 7, major: 1, minor: 0, maximumTransfer: 0x4000), GoldenNetwork.rndisInitialize, 24, []
    ),
    (
      .initializeComplete(RNDISInitialization(id: 7, maximumTransfer: 6144)), GoldenNetwork.rndisInitializeComplete,
      44, []
    ),
    (.halt(id: 8), GoldenNetwork.rndisHalt, 12, []),
    (
      .query(id: 9, .maximumFrameSize, information: RNDISPlace(offset: 28, byteCount: 4)), GoldenNetwork.rndisQuery, 32,
      [0xAB, 0xAB, 0xAB, 0xAB]
    ),
    (
      .queryComplete(id: 9, .success, information: RNDISPlace(offset: 24, byteCount: 4)),
      GoldenNetwork.rndisQueryComplete, 28, [0xCD, 0xCD, 0xCD, 0xCD]
    ),
    (
      .set(id: 10, .packetFilter, information: RNDISPlace(offset: 28, byteCount: 4)), GoldenNetwork.rndisSet, 32,
      [0x0D, 0, 0, 0]
    ),
    (.setComplete(id: 10, .notSupported), GoldenNetwork.rndisSetComplete, 16, []),
    (.resetComplete(.success, addressing: true), GoldenNetwork.rndisResetComplete, 16, []),
    (
      .indicate(.linkSpeedChange, information: RNDISPlace(offset: 20, byteCount: 4)), GoldenNetwork.rndisIndicate, 24,
      [0x11, 0x11, 0x11, 0x11]
    ),
    (.keepAlive(id: 11), GoldenNetwork.rndisKeepAlive, 12, []),
    (.keepAliveComplete(id: 11, .success), GoldenNetwork.rndisKeepAliveComplete, 16, []),
  ]

  @Test func messagesAreLinux() throws {
    for (message, golden, needed, information) in Self.messages {
      #expect(try RNDISMessage(decoding: golden.bytes.wire) == message)
      let encoded = try bytes(message.byteCount) { (span: inout MutableRawSpan) in
        try message.encode(into: &span)
        try span.write(information.wire, at: message.byteCount - information.count)
      }
      #expect(encoded == golden.bytes, "\(message)")
      #expect(golden.bytes.count >= needed)
      // Shorter than it says, and saying less than it needs.
      for count in 0..<golden.size {
        #expect(throws: WireError.self) { try RNDISMessage(decoding: Array(golden.bytes.prefix(count)).wire) }
        var less = golden.bytes
        less[4] = UInt8(count)
        let isSound = (try? RNDISMessage(decoding: less.wire)) != nil
        #expect(isSound == (count >= needed), "\(message) of \(count) bytes")
      }
    }
  }

  /// Offset and length of the information: each at its limits.
  @Test func informationThatLies() {
    let table: [UInt32] = [0, 1, 19, 21, 24, 25, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF8, .max]
    for (place, sound) in [(16, 4 as UInt32), (20, 20)] {
      for value in table where value != sound {
        var query = GoldenNetwork.rndisQuery.bytes
        for index in 0..<4 { query[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
        let decoded = try? RNDISMessage(decoding: query.wire)
        // Fewer bytes are fine, none at all too; an offset in the fixed part or beyond the end is not.
        let isSound = place == 16 && value < 4
        #expect((decoded != nil) == isSound, "\(place): \(value)")
      }
    }
  }

  @Test func packetIsLinux() throws {
    let golden = GoldenNetwork.rndisPacket.bytes
    let packet = RNDISPacket(byteCount: 184, dataOffset: 116, dataByteCount: 60, informationByteCount: 80)
    #expect(try RNDISPacket(decoding: golden.wire, available: 184) == packet)
    #expect(throws: WireError.invalid(offset: 4)) { try RNDISPacket(decoding: golden.wire, available: 183) }
    var information = PacketInformation()
    information.checksum = TransmitChecksum(isIPv6: false, tcp: true, ipHeader: true, transportOffset: 34).rawValue
    information.largeSend = LargeSend(segmentSize: 1440, transportOffset: 54, isIPv6: true)
    information.vlan = NetworkVLAN(tag: 0x5 << 13 | 0x1000 | 0x123)
    information.hash = 0xDEAD_BEEF
    information.part = PacketPart(isFirst: false, isLast: true, number: 0x4321)
    #expect(try PacketInformation(decoding: golden.wire.extracting(44..<124)) == information)
    let encoded = try bytes(124) { (span: inout MutableRawSpan) in
      try packet.encode(into: &span)
      try information.encode(into: &span, at: 44)
    }
    #expect(encoded == golden)
    #expect(information.byteCount == 80)
    #expect(
      try golden.prefix(4) == bytes(4) { (span: inout MutableRawSpan) in try span.write(1 as UInt32, at: 0) }[...])
  }

  @Test func packetsThatLie() {
    let golden = GoldenNetwork.rndisPacket.bytes
    let table: [UInt32] = [0, 1, 35, 37, 177, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF8, .max]
    for (place, sound) in [(4, [] as [UInt32]), (8, [37]), (12, [0, 1, 35, 37]), (28, [37]), (32, [0, 1, 35, 37])] {
      for value in table {
        var packet = golden
        for index in 0..<4 { packet[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
        let isSound = (try? RNDISPacket(decoding: packet.wire, available: 184)) != nil
        #expect(isSound == sound.contains(value), "\(place): \(value)")
      }
    }
  }

  /// Each of these makes Linux 6.1 loop, or read what is not there.
  @Test func recordsThatLie() {
    func record(_ size: UInt32, _ type: UInt32, _ offset: UInt32, _ words: [UInt32] = [0]) -> [UInt8] {
      ([size, type, offset] + words).flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
    }
    func sound(_ bytes: [UInt8]) -> Bool { (try? PacketInformation(decoding: bytes.wire)) != nil }
    #expect(sound([]))
    #expect(sound(record(16, 0, 12)))
    // Types that nobody knows, with any data, also none.
    #expect(sound(record(12, 99, 12, []) + record(16, 6, 12)))
    #expect(sound(record(24, 0x8000_0099, 12, [1, 2, 3])))
    for size: UInt32 in [0, 1, 4, 11, 13, 15, 17, 20, 0x8000_0000, .max] {
      #expect(!sound(record(size, 0, 12)), "\(size)")
    }
    for offset: UInt32 in [0, 4, 11, 13, 16, 17, .max] { #expect(!sound(record(16, 0, offset)), "\(offset)") }
    #expect(!sound(Array(record(16, 0, 12).dropLast())))
    #expect(!sound(record(16, 0, 12) + [16, 0, 0, 0]))
  }

  @Test func meanings() {
    #expect(LargeSend(rawValue: 1448 | 34 << 20).isVersion2 == false)
    let large = LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false)
    #expect(large.isVersion2 && !large.isIPv6 && large.segmentSize == 1448 && large.transportOffset == 34)
    // Version 1 has no bit for IPv6.
    #expect(!LargeSend(rawValue: 0x8000_0000 | 1448).isIPv6)
    for tag: UInt16 in [0, 0xFFFF, 0x2001, 0x1FFF, 0xE000] { #expect(NetworkVLAN(tag: tag).tag == tag) }
    let part = PacketPart(isFirst: true, isLast: false, number: 9)
    #expect(part.isPart && part.isFirst && !part.isLast && part.number == 9 && part.version == 1)
    #expect(
      ReceiveChecksum.tcpGood.union(.ipGood).union(.tcpValueInvalid).rawValue
        == UInt32(GoldenNetwork.receiveChecksum.bytes[0]))
  }

  @Test func offloadsAreLinux() throws {
    let golden = GoldenNetwork.offload.bytes
    let encoded = try bytes(156) { (span: inout MutableRawSpan) in
      try NetworkOffloads().encode(into: &span, at: 0, revision: 3)
    }
    #expect(encoded == golden)
    #expect(try NetworkOffloads(decoding: golden.wire) == NetworkOffloads())
    for revision: UInt8 in [1, 2, 3] {
      let size = NetworkOffloads.byteCount(revision: revision)
      #expect(size == [112, 144, 156][Int(revision) - 1])
      let encoded = try bytes(size) { (span: inout MutableRawSpan) in
        try NetworkOffloads().encode(into: &span, at: 0, revision: revision)
      }
      var offloads = NetworkOffloads()
      offloads.receiveCoalescing = revision == 3
      #expect(try NetworkOffloads(decoding: encoded.wire) == offloads)
      let nothing = try bytes(size) { (span: inout MutableRawSpan) in
        try NetworkOffloads.none.encode(into: &span, at: 0, revision: revision)
      }
      #expect(try NetworkOffloads(decoding: nothing.wire) == .none)
      cut(encoded, needed: size) { try NetworkOffloads(decoding: $0) }
    }
    var other = golden
    other[0] = 0x80
    #expect(throws: WireError.invalid(offset: 0)) { try NetworkOffloads(decoding: other.wire) }
  }

  @Test func offloadParametersAreLinux() throws {
    let golden = GoldenNetwork.offloadParameters.bytes
    var parameters = NetworkOffloadParameters()
    parameters.ipv4Header = 1
    parameters.tcpIPv4 = 4
    parameters.udpIPv4 = 2
    parameters.tcpIPv6 = 3
    parameters.udpIPv6 = 4
    parameters.largeSendVersion1 = 1
    parameters.largeSendIPv4 = 2
    parameters.largeSendIPv6 = 1
    parameters.coalescingIPv4 = 2
    parameters.coalescingIPv6 = 1
    #expect(try NetworkOffloadParameters(decoding: golden.wire) == parameters)
    let encoded = try bytes(28) { (span: inout MutableRawSpan) in try parameters.encode(into: &span, at: 0) }
    #expect(encoded == golden)
    // Up to version 4 Linux sends 22 bytes.
    #expect(try NetworkOffloadParameters(decoding: Array(golden.prefix(22)).wire).coalescingIPv4 == 0)
    cut(golden, needed: 15) { try NetworkOffloadParameters(decoding: $0) }
  }

  @Test func scalingIsLinux() throws {
    let golden = GoldenNetwork.scaleCapabilities.bytes
    let capabilities = ReceiveScalingCapabilities(queues: 4)
    #expect(try ReceiveScalingCapabilities(decoding: golden.wire) == capabilities)
    #expect(try bytes(18) { (span: inout MutableRawSpan) in try capabilities.encode(into: &span, at: 0) } == golden)

    let fixed = GoldenNetwork.scaleParameters.bytes
    let parameters = ReceiveScalingParameters(
      flags: 0, hash: ReceiveHash(rawValue: 0x1701), table: RNDISPlace(offset: 40, byteCount: 512),
      key: RNDISPlace(offset: 552, byteCount: 40))
    let whole = fixed + [UInt8](repeating: 0, count: 552)
    #expect(try ReceiveScalingParameters(decoding: whole.wire) == parameters)
    #expect(ReceiveHash.linux.rawValue == 0x1701)
    #expect(try bytes(40) { (span: inout MutableRawSpan) in try parameters.encode(into: &span, at: 0) } == fixed)
    // A table or a key that is not all there.
    cut(whole, needed: 592) { try ReceiveScalingParameters(decoding: $0) }
    // While it is switched off nobody looks at them.
    var off = fixed
    off[4] = 0x10
    #expect(try ReceiveScalingParameters(decoding: off.wire).isDisabling)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import DeviceProtocols

@Suite struct NetworkMessageTests {
  static let fromGuest: [(NVSPMessage, Golden, Int)] = [
    (.initialize(minimum: .v6_1, maximum: .v6_1), GoldenNetwork.initialize, 12),
    (.ndisVersion(major: 6, minor: 30), GoldenNetwork.ndisVersion, 12),
    (.receiveBuffer(GPADLID(0xE1E10), id: 0xCAFE), GoldenNetwork.receiveBuffer, 10),
    (.revokeReceiveBuffer(id: 0xCAFE), GoldenNetwork.revokeReceiveBuffer, 6),
    (.sendBuffer(GPADLID(0xE1E11), id: 0), GoldenNetwork.sendBuffer, 10),
    (.revokeSendBuffer(id: 0xFACE), GoldenNetwork.revokeSendBuffer, 6),
    (
      .configuration(
        frameSize: 1514, NVSPCapabilities.vlan.union(.teaming).union(.singleRootIO).union(.receiveCoalescing)),
      GoldenNetwork.configuration, 20
    ),
    (.switchDataPath(1), GoldenNetwork.switchDataPath, 8),
    (.requestSubChannels(operation: 1, count: 3), GoldenNetwork.requestSubChannels, 12),
  ]
  static let fromHost: [(NVSPMessage, Golden, Int)] = [
    (.initializeComplete(version: 0x60001, chain: 34, .success), GoldenNetwork.initializeComplete, 16),
    (
      .receiveBufferComplete(
        .success, sections: 1, NVSPReceiveSection(byteCount: 1728, count: 9709, end: 1728 * 9709)),
      GoldenNetwork.receiveBufferComplete, 28
    ),
    (.sendBufferComplete(.success, sectionSize: 6144), GoldenNetwork.sendBufferComplete, 12),
    (.virtualFunction(isAllocated: true, serial: 5), GoldenNetwork.virtualFunction, 12),
    (.subChannels(.success, count: 3), GoldenNetwork.subChannels, 12),
    (.sendTable(NVSPSendTable(spreadOver: 3)), GoldenNetwork.sendTable, 104),
  ]

  @Test func messagesOfAGuestAreLinux() throws {
    for (message, golden, needed) in Self.fromGuest {
      #expect(try NVSPMessage(decodingFromGuest: golden.bytes.wire) == message)
      let encoded = try bytes(message.byteCount) { (packet: inout MutableRawSpan) in try message.encode(into: &packet) }
      #expect(encoded == golden.bytes, "\(message)")
      cut(golden.bytes, needed: needed) { try NVSPMessage(decodingFromGuest: $0) }
      // What the host alone says is nothing that a guest says; 133 is both.
      if message.type != .subChannels {
        #expect(throws: WireError.self) { try NVSPMessage(decodingFromHost: golden.bytes.wire) }
      }
    }
  }

  @Test func messagesOfAHostAreLinux() throws {
    for (message, golden, needed) in Self.fromHost {
      #expect(try NVSPMessage(decodingFromHost: golden.bytes.wire) == message)
      let encoded = try bytes(message.byteCount) { (packet: inout MutableRawSpan) in try message.encode(into: &packet) }
      #expect(encoded == golden.bytes, "\(message)")
      cut(golden.bytes, needed: needed) { try NVSPMessage(decodingFromHost: $0) }
      if message.type != .subChannels {
        #expect(throws: WireError.self) { try NVSPMessage(decodingFromGuest: golden.bytes.wire) }
      }
    }
  }

  @Test func sendTablesThatLie() {
    var table = GoldenNetwork.sendTable.bytes
    table[4] = 17
    #expect(throws: WireError.invalid(offset: 4)) { try NVSPMessage(decodingFromHost: table.wire) }
    table[4] = 16
    for offset: UInt32 in [41, 44, 0xFFFF, 0x1_0000, .max] {
      for index in 0..<4 { table[8 + index] = UInt8(truncatingIfNeeded: offset >> (8 * UInt32(index))) }
      #expect(throws: WireError.self) { try NVSPMessage(decodingFromHost: table.wire) }
    }
  }

  @Test func packetsAreLinux() throws {
    let golden = GoldenNetwork.packet.bytes
    let packet = NVSPPacket(isControl: true, section: 0x0102_0304, sectionByteCount: 0x0A0B_0C0D)
    #expect(try NVSPPacket(decoding: golden.wire) == packet)
    #expect(try bytes(40) { (span: inout MutableRawSpan) in try packet.encode(into: &span) } == golden)
    cut(golden, needed: 16) { try NVSPPacket(decoding: $0) }
    // Another message is no packet; another kind of packet is nonsense.
    #expect(try NVSPPacket(decoding: GoldenNetwork.initialize.bytes.wire) == nil)
    var other = golden
    other[4] = 2
    #expect(throws: WireError.invalid(offset: 4)) { try NVSPPacket(decoding: other.wire) }

    let complete = GoldenNetwork.packetComplete.bytes
    #expect(try NVSPPacketComplete(decoding: complete.wire).status == .invalidPacket)
    #expect(
      try bytes(40) { (span: inout MutableRawSpan) in try NVSPPacketComplete(.invalidPacket).encode(into: &span) }
        == complete)
    cut(complete, needed: 8) { try NVSPPacketComplete(decoding: $0) }
  }

  @Test func versionsAndWhatTheyHave() {
    let versions: [NVSPVersion] = [.v1, .v2, .v4, .v5, .v6, .v6_1]
    #expect(versions == versions.sorted() && versions.allSatisfy(\.isKnown))
    #expect(versions.map(\.hasConfiguration) == [false, true, true, true, true, true])
    #expect(versions.map(\.hasSubChannels) == [false, false, false, true, true, true])
    #expect(versions.map(\.hasCoalescing) == [false, false, false, false, false, true])
    #expect(versions.map(\.ndisVersion) == [0x60001, 0x60001, 0x60001, 0x6001E, 0x6001E, 0x6001E])
    for number: UInt32 in [0, 1, 3, 0x30000, 0x60002, 0x70000, .max] {
      #expect(!NVSPVersion(rawValue: number).isKnown)
    }
  }

  @Test func identity() {
    // The bytes that an offer carries: HV_NIC_GUID of include/linux/hyperv.h.
    #expect(NetworkAdapter.classID.low == 0x46C5_DF3E_F861_5163)
    #expect(NetworkAdapter.classID.high == 0x0EED_65F9_D2F2_3F91)
  }

  @Test func addresses() throws {
    let wire: [UInt8] = [0xFF, 0x00, 0x15, 0x5D, 0x01, 0x02, 0x03]
    let address = try EthernetAddress(decoding: wire.wire, at: 1)
    #expect(address.rawValue == 0x0015_5D01_0203 && address.isUsable && !address.isMulticast)
    let encoded = try bytes(7) { (span: inout MutableRawSpan) in
      try span.write(0xFF as UInt8, at: 0)
      try address.encode(into: &span, at: 1)
    }
    #expect(encoded == wire)
    #expect(!EthernetAddress(rawValue: 0).isUsable)
    #expect(!EthernetAddress(rawValue: 0x0100_5E00_0001).isUsable)
    #expect(EthernetAddress(rawValue: .max).isBroadcast && !EthernetAddress(rawValue: .max).isUsable)
    #expect(throws: WireError.self) { try EthernetAddress(decoding: wire.wire, at: 2) }
  }
}

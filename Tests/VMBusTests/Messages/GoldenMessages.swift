// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

// Golden bytes. Provenance, where not said otherwise: the structures of Linux 6.12.117 `include/linux/hyperv.h`, filled
// with the values named here by a C program and printed (gcc 12.2, x86-64); so the layout is the C compiler's and the
// kernel's, not ours.

struct GoldenGuestMessage: Sendable, CustomTestStringConvertible {
  var message: GuestMessage
  var hex: String
  var testDescription: String { "message \(message.type.rawValue)" }
}

struct GoldenHostMessage: Sendable, CustomTestStringConvertible {
  var message: HostMessage
  var hex: String
  var testDescription: String { "message \(message.type.rawValue)" }
}

/// The class of network adapters and the instance of the data exchange service.
let networkClass = GUID(0xF861_5163, 0xDF3E, 0x46C5, 0x913F, 0xF2D2_F965_ED0E)
let exchangeInstance = GUID(0x242F_F919, 0x07DB, 0x4180, 0x9C2E, 0xB86C_B68C_8C55)

func userData(_ byte: (Int) -> UInt8) -> UserData {
  var data = UserData()
  for index in 0..<UserData.wireSize { data.words[index / 8] |= UInt64(byte(index)) << UInt64(index % 8 * 8) }
  return data
}

func words(_ values: UInt64...) -> GPADLWords {
  var words = GPADLWords()
  for value in values { _ = words.append(value) }
  return words
}

enum Golden {
  /// A network adapter's further channel in named pipe mode, with every field set.
  static var offer: Offer {
    var offer = Offer(
      classID: networkClass, instanceID: exchangeInstance, channel: ChannelID(0x7FF), connection: ConnectionID(0x27FF))
    offer.flags = .enumerateInterface.union(.namedPipe)
    offer.mmioMegabytes = 64
    offer.userData = userData { $0 < 4 ? [4, 0, 0, 0][$0] : UInt8($0 - 3) }
    offer.subChannelIndex = 7
    offer.optionalMMIOMegabytes = 9
    offer.monitorID = 0x42
    offer.monitorAllocated = true
    return offer
  }

  static let guestMessages: [GoldenGuestMessage] = [
    GoldenGuestMessage(
      message: .initiateContact(
        InitiateContact(
          version: .v4_1, targetVP: VPIndex(3), interruptPageOrTarget: 0x1122_3344_5566_7000,
          hostToGuestMonitorPage: 0x1_2345_6000, guestToHostMonitorPage: 0x7_89AB_C000)),
      hex: "0e0000000000000001000400030000000070665544332211006045230100000000c0ab8907000000"),
    GoldenGuestMessage(
      message: .initiateContact(
        InitiateContact(
          version: .v5_3, targetVP: VPIndex(3), interruptPageOrTarget: InitiateContact.target(sint: 2, vtl: 1),
          hostToGuestMonitorPage: 0x1_2345_6000, guestToHostMonitorPage: 0x7_89AB_C000)),
      hex: "0e0000000000000003000500030000000201000000000000006045230100000000c0ab8907000000"),
    GoldenGuestMessage(
      message: .requestOffers(
        RequestOffers()),
      hex: "0300000000000000"),
    GoldenGuestMessage(
      message: .unload(
        Unload()),
      hex: "1000000000000000"),
    GoldenGuestMessage(
      message: .openChannel(
        OpenChannel(
          channel: ChannelID(5), openID: OpenID(0x0A0B_0C0D), ringGPADL: GPADLID(0xE1E10), targetVP: VPIndex(2),
          hostToGuestPageOffset: 4, userData: userData { UInt8(200 - $0) })),
      hex: """
        0500000000000000050000000d0c0b0a101e0e000200000004000000c8c7c6c5c4c3c2c1c0bfbebdbcbbbab9b8b7b6b5
        b4b3b2b1b0afaeadacabaaa9a8a7a6a5a4a3a2a1a09f9e9d9c9b9a999897969594939291908f8e8d8c8b8a8988878685
        84838281807f7e7d7c7b7a797877767574737271706f6e6d6c6b6a696867666564636261605f5e5d5c5b5a5958575655
        54535251
        """),
    GoldenGuestMessage(
      message: .closeChannel(
        CloseChannel(channel: ChannelID(0x1234))),
      hex: "070000000000000034120000"),
    GoldenGuestMessage(
      message: .gpadlHeader(
        GPADLHeader(
          channel: ChannelID(6), gpadl: GPADLID(0xE1E11), rangeBytes: 0xFFF8, rangeCount: 1,
          words: words(0x80_0100_0000, 0x12_3456_789A, 0x100))),
      hex: "080000000000000006000000111e0e00f8ff010000000001800000009a785634120000000001000000000000"),
    GoldenGuestMessage(
      message: .gpadlBody(
        GPADLBody(messageNumber: 1, gpadl: GPADLID(0xE1E11), words: words(1, 0xF_FFFF_FFFF, 3))),
      hex: "090000000000000001000000111e0e000100000000000000ffffffff0f0000000300000000000000"),
    GoldenGuestMessage(
      message: .gpadlTeardown(
        GPADLTeardown(channel: ChannelID(6), gpadl: GPADLID(0xE1E11))),
      hex: "0b0000000000000006000000111e0e00"),
    GoldenGuestMessage(
      message: .channelReleased(
        ChannelReleased(channel: ChannelID(0x7FE))),
      hex: "0d00000000000000fe070000"),
    GoldenGuestMessage(
      message: .socketConnectRequest(
        SocketConnectRequest(endpoint: networkClass, service: exchangeInstance)),
      hex: "1500000000000000635161f83edfc546913ff2d2f965ed0e19f92f24db0780419c2eb86cb68c8c55"),
    GoldenGuestMessage(
      message: .modifyChannel(
        ModifyChannel(channel: ChannelID(9), targetVP: VPIndex(1))),
      hex: "16000000000000000900000001000000"),
    // Linux has no structures for reserved channels; by hand from OpenVMM's `vmbus_core` protocol.
    GoldenGuestMessage(
      message: .openReservedChannel(
        OpenReservedChannel(
          channel: ChannelID(1), targetVP: VPIndex(2), targetSINT: 5, ringGPADL: GPADLID(0xE1E10),
          hostToGuestPageOffset: 3)),
      hex: "12000000000000000100000002000000 05000000101e0e0003000000"),
    GoldenGuestMessage(
      message: .closeReservedChannel(
        CloseReservedChannel(channel: ChannelID(1), targetVP: VPIndex(2), targetSINT: 5)),
      hex: "1300000000000000010000000200000005000000"),
    // 6.0 with a client GUID: by hand from OpenVMM's `vmbus_core` protocol.
    GoldenGuestMessage(
      message: .initiateContact(
        InitiateContact(
          version: .v6_0, targetVP: VPIndex(0), interruptPageOrTarget: InitiateContact.target(sint: 2, features: 0x28),
          clientID: networkClass)),
      hex: """
        0e0000000000000000000600000000000200000028000000000000000000000000000000000000006351
        61f83edfc546913ff2d2f965ed0e
        """),
  ]

  static let hostMessages: [GoldenHostMessage] = [
    GoldenHostMessage(
      message: .versionResponse(
        VersionResponse(isSupported: true, state: .unknownFailure, versionOrConnection: 0x0102_0304)),
      hex: "0f000000000000000102000004030201"),
    GoldenHostMessage(
      message: .offer(offer),
      hex: """
        0100000000000000635161f83edfc546913ff2d2f965ed0e19f92f24db0780419c2eb86cb68c8c550000000000000000
        000000000000000011004000040000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
        2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f50
        5152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737407000900ff07000042010100
        ff270000
        """),
    GoldenHostMessage(
      message: .rescind(Rescind(channel: ChannelID(0x102))),
      hex: "020000000000000002010000"),
    GoldenHostMessage(
      message: .allOffersDelivered(AllOffersDelivered()),
      hex: "0400000000000000"),
    GoldenHostMessage(
      message: .unloadResponse(UnloadResponse()),
      hex: "1100000000000000"),
    GoldenHostMessage(
      message: .openResult(OpenResult(channel: ChannelID(5), openID: OpenID(0x0A0B_0C0D), status: .unsuccessful)),
      hex: "0600000000000000050000000d0c0b0a010000c0"),
    GoldenHostMessage(
      message: .gpadlCreated(
        GPADLCreated(channel: ChannelID(6), gpadl: GPADLID(0xE1E11), status: .insufficientResources)),
      hex: "0a0000000000000006000000111e0e009a0000c0"),
    GoldenHostMessage(
      message: .gpadlTorndown(GPADLTorndown(gpadl: GPADLID(0xE1E11))),
      hex: "0c00000000000000111e0e00"),
    GoldenHostMessage(
      message: .modifyChannelResponse(ModifyChannelResponse(channel: ChannelID(9), status: .invalidParameter)),
      hex: "1800000000000000090000000d0000c0"),
    // Linux has no structures for these two; by hand from OpenVMM's `vmbus_core` protocol.
    GoldenHostMessage(
      message: .closeReservedChannelResponse(CloseReservedChannelResponse(channel: ChannelID(1))),
      hex: "140000000000000001000000"),
    GoldenHostMessage(
      message: .socketConnectResult(
        SocketConnectResult(endpoint: networkClass, service: exchangeInstance, status: .connectionRefused)),
      hex: """
        1700000000000000635161f83edfc546913ff2d2f965ed0e19f92f24db0780419c2eb86cb68c8c55360200c0
        """),
  ]
}

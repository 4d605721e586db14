// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@Suite struct MessageTests {
  @Test(arguments: Golden.guestMessages)
  func guestMessagesAreAsLinuxLaysThemOut(_ golden: GoldenGuestMessage) throws {
    let wire = try #require(bytes(hex: golden.hex))
    #expect(try decodeGuest(wire) == golden.message)
    #expect(array(golden.message.encoded) == wire)
    #expect(golden.message.type.sender == .guest)
  }

  @Test(arguments: Golden.hostMessages)
  func hostMessagesAreAsLinuxLaysThemOut(_ golden: GoldenHostMessage) throws {
    let wire = try #require(bytes(hex: golden.hex))
    #expect(try decodeHost(wire) == golden.message)
    #expect(array(golden.message.encoded) == wire)
    #expect(golden.message.type.sender == .host)
  }

  /// Both lists together name every message from 1 to 24.
  @Test func everyTypeHasGoldenBytes() {
    let types = Golden.guestMessages.map(\.message.type.rawValue) + Golden.hostMessages.map(\.message.type.rawValue)
    #expect(Set(types) == Set(1...24))
  }

  /// A shorter message never decodes as if it were whole. The lists of a GPADL may end after any word.
  @Test(arguments: Golden.guestMessages)
  func cutGuestMessagesAreRefused(_ golden: GoldenGuestMessage) throws {
    let wire = try #require(bytes(hex: golden.hex))
    for length in 0..<wire.count {
      let message = try? decodeGuest(Array(wire[..<length]))
      switch golden.message {
      case .gpadlHeader where length >= GPADLHeader.wireSize, .gpadlBody where length >= GPADLBody.wireSize:
        #expect(message?.type == golden.message.type && message != golden.message, "length \(length)")
      case .initiateContact where length >= InitiateContact.wireSize:
        #expect(message?.type == .initiateContact && message != golden.message, "length \(length)")
      default:
        #expect(message == nil, "length \(length)")
      }
    }
  }

  @Test(arguments: Golden.hostMessages)
  func cutHostMessagesAreRefused(_ golden: GoldenHostMessage) throws {
    let wire = try #require(bytes(hex: golden.hex))
    for length in 0..<wire.count {
      let cut = Array(wire[..<length])
      #expect(throws: MessageError.self, "length \(length)") { try decodeHost(cut) }
    }
  }

  /// Peers may append fields that later versions define, and padding.
  @Test(arguments: Golden.hostMessages)
  func longerHostMessagesAreRead(_ golden: GoldenHostMessage) throws {
    let wire = try #require(bytes(hex: golden.hex))
    let longer = wire + [UInt8](repeating: 0xEE, count: MessageBuffer.capacity - wire.count)
    #expect(try decodeHost(longer) == golden.message)
  }

  /// The padding of the header may hold anything.
  @Test func headerPaddingIsIgnored() throws {
    let wire = try #require(bytes(hex: "07000000 deadbeef 34120000"))
    #expect(try decodeGuest(wire) == .closeChannel(CloseChannel(channel: ChannelID(0x1234))))
  }

  @Test func headersAreChecked() throws {
    #expect(throws: MessageError.noHeader(available: 0)) { try decode(guest: "") }
    #expect(throws: MessageError.noHeader(available: 7)) { try decode(guest: "03000000000000") }
    #expect(throws: MessageError.unknownType(MessageType(rawValue: 0))) { try decode(guest: "0000000000000000") }
    #expect(throws: MessageError.unknownType(MessageType(rawValue: 25))) { try decode(guest: "1900000000000000") }
    #expect(throws: MessageError.unknownType(MessageType(rawValue: .max))) { try decode(guest: "ffffffff00000000") }
    #expect(throws: MessageError.wrongSender(.offer)) { try decode(guest: "0100000000000000") }
    #expect(throws: MessageError.wrongSender(.unload)) { try decode(host: "1000000000000000") }
    #expect(throws: MessageError.tooLong(241)) { try decode(guest: String(repeating: "03", count: 241)) }
    #expect(throws: MessageError.malformed(.closeChannel, .truncated(needed: 12, available: 11))) {
      try decode(guest: "0700000000000000341200")
    }
  }

  /// 26 frames in a header and 28 in a body, as Linux packs them, fill a message and no more.
  @Test func gpadlMessagesHoldAsMuchAsLinuxSends() throws {
    var words = GPADLWords()
    while words.append(UInt64(words.count)) {}
    #expect(words.count == 28)
    let body = GPADLBody(gpadl: GPADLID(1), words: words)
    #expect(GuestMessage.gpadlBody(body).encoded.byteCount == 240)
    #expect(try decodeGuest(array(GuestMessage.gpadlBody(body).encoded)) == .gpadlBody(body))

    // 20 + 27 * 8 = 236. Four bytes are left, which are no word.
    var wire = try #require(bytes(hex: "080000000000000006000000111e0e00d800 0100"))
    wire += [UInt8](repeating: 0xAB, count: 220)
    guard case .gpadlHeader(let header) = try decodeGuest(wire) else {
      Issue.record("not a header")
      return
    }
    #expect(header.words.count == 27)
  }

  @Test func sendersAreExactlyThoseOfTheProtocol() {
    for raw in UInt32(1)...24 { #expect(MessageType(rawValue: raw).sender != nil) }
    for raw in [0, 25, 29, UInt32.max] { #expect(MessageType(rawValue: raw).sender == nil) }
  }

  @Test func supportedVersionsAreInLinuxOrder() {
    let versions = (0..<ProtocolVersion.supportedCount).compactMap(ProtocolVersion.supported(at:))
    #expect(versions == [.v5_3, .v5_2, .v5_1, .v5_0, .v4_1, .v4_0, .v3_0, .v2_4])
    #expect(ProtocolVersion.supported(at: ProtocolVersion.supportedCount) == nil)
    #expect(ProtocolVersion.supported(at: -1) == nil)
    #expect(versions.allSatisfy { $0.isSupported && $0 == ProtocolVersion(major: $0.major, minor: $0.minor) })
    #expect(!ProtocolVersion.v6_0.isSupported && !ProtocolVersion(rawValue: 0).isSupported)
  }

  private func decode(guest hex: String) throws -> GuestMessage {
    try decodeGuest(#require(bytes(hex: hex)))
  }

  private func decode(host hex: String) throws -> HostMessage {
    try decodeHost(#require(bytes(hex: hex)))
  }
}

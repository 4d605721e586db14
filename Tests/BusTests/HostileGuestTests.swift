// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

/// What a hostile guest will try on the bus, by name: nothing traps, the request fails as documented in `BusRefusal`, it
/// is counted, and afterwards a guest of good will gets what it asks for.
@Suite struct HostileGuestTests {
  // MARK: Messages

  @Test(arguments: 0..<8) func messagesShorterThanTheHeader(_ length: Int) throws {
    var guest = try ScriptedGuest.ready()
    #expect(guest.send(bytes: [UInt8](repeating: 3, count: length)) == .success)
    #expect(guest.count(.noHeader) == 1)
    guest.expectAlive()
  }

  @Test(arguments: [241, 256, 4096]) func messagesLongerThan240Bytes(_ length: Int) throws {
    var guest = try ScriptedGuest.ready()
    #expect(guest.send(bytes: [UInt8](repeating: 3, count: length)) == .invalidParameter)
    #expect(guest.count(.tooLong) == 1)
    guest.expectAlive()
  }

  @Test(arguments: [0, 25, 26, 29, 255, UInt32.max]) func messagesOfUnknownType(_ type: UInt32) throws {
    var guest = try ScriptedGuest.ready()
    #expect(
      guest.send(bytes: (0..<8).map { $0 < 4 ? UInt8(truncatingIfNeeded: type >> UInt32($0 * 8)) : 0 }) == .success)
    #expect(guest.count(.unknownType) == 1)
    guest.expectAlive()
  }

  @Test(arguments: [1, 2, 4, 6, 10, 12, 15, 17, 20, 23, 24] as [UInt8])
  func messagesThatOnlyTheHostMaySend(_ type: UInt8) throws {
    var guest = try ScriptedGuest.ready()
    #expect(guest.send(bytes: [type, 0, 0, 0] + [UInt8](repeating: 1, count: 236)) == .success)
    #expect(guest.replies().isEmpty)
    #expect(guest.count(.hostMessage) == 1)
    guest.expectAlive()
  }

  @Test(arguments: [0, 2, 3, 5, 0x2001, 0x00FF_FFFF, UInt32.max]) func unknownConnections(_ port: UInt32) throws {
    var guest = try ScriptedGuest.ready()
    let message = GuestMessage.unload(Unload()).encoded
    #expect(guest.send(message, on: ConnectionID(port)) == .invalidConnectionID)
    #expect(guest.count(.wrongConnection) == 1)
    guest.expectAlive()
  }

  /// Each refusal is worth one line in the log, however often it happens.
  @Test func aFloodIsLoggedOnce() throws {
    var guest = try ScriptedGuest.ready()
    for _ in 0..<1000 { guest.send(.closeChannel(CloseChannel(channel: ChannelID(9)))) }
    #expect(guest.effects == [.refused(.unknownChannel, .closeChannel)])
    #expect(guest.count(.unknownChannel) == 1000)
    guest.expectAlive()
  }

  // MARK: Contact

  @Test func everythingBeforeTheContact() {
    var guest = ScriptedGuest()
    guest.send(.requestOffers(RequestOffers()))
    guest.share(1, on: 1, pages: 4)
    guest.openChannel(1, ring: 1)
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    guest.send(.modifyChannel(ModifyChannel(channel: ChannelID(1), targetVP: VPIndex(0))))
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(1))))
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(1))))
    #expect(guest.replies().isEmpty)
    #expect(guest.count(.notConnected) == 7)
  }

  @Test func contactsThatNameAnAbsentProcessorInterruptOrTrustLevel() throws {
    let targets: [(UInt32, UInt64)] = [
      (2, 2), (.max, 2), (0, InitiateContact.target(sint: 3)), (0, InitiateContact.target(sint: 0)),
      (0, InitiateContact.target(sint: 2, vtl: 1)),
    ]
    for (vp, target) in targets {
      var guest = try ScriptedGuest.ready()
      let contact = InitiateContact(version: .v5_3, targetVP: VPIndex(vp), interruptPageOrTarget: target)
      guest.send(.initiateContact(contact))
      #expect(
        guest.replies() == [
          .versionResponse(VersionResponse(isSupported: false, state: .unknownFailure, versionOrConnection: 0))
        ])
      #expect(guest.count(.unusableTarget) == 1 && guest.server.version == nil)
      guest.connect(.v5_3)
      guest.send(.requestOffers(RequestOffers()))
      guest.expectAlive()
    }
  }

  @Test func unknownFeatureBitsAndAnyMonitorPages() {
    var guest = ScriptedGuest()
    let contact = InitiateContact(
      version: .v5_3, targetVP: VPIndex(0), interruptPageOrTarget: InitiateContact.target(sint: 2, features: .max),
      hostToGuestMonitorPage: .max, guestToHostMonitorPage: 1 << 63)
    guest.port = .messages
    guest.send(.initiateContact(contact))
    #expect(guest.server.version == .v5_3)
  }

  @Test func aHundredUnloadsAndContactsLeakNothing() throws {
    var guest = try ScriptedGuest.ready()
    for round in 0..<100 {
      guest.share(1, on: 1, pages: 100)
      guest.share(2, on: 2, pages: 8)
      guest.openChannel(2, ring: 2)
      guest.completeOpening()
      if round % 2 == 0 { guest.send(.unload(Unload())) }
      guest.connect(.v5_3)
      guest.send(.requestOffers(RequestOffers()))
      #expect(guest.server.channels.allSatisfy { $0.gpadlCount == 0 && $0.state == .offered })
      _ = guest.takeEffects()
    }
    #expect(guest.server.channels.count == 2)
    guest.expectAlive()
  }

  // MARK: Channels

  @Test(arguments: [0, 3, 2047, 2048, UInt32.max]) func openOfAnUnknownChannel(_ id: UInt32) throws {
    var guest = try ScriptedGuest.ready()
    guest.openChannel(id, ring: 1)
    #expect(
      guest.replies() == [.openResult(OpenResult(channel: ChannelID(id), openID: OpenID(77), status: .notFound))])
    #expect(guest.count(.unknownChannel) == 1)
    guest.expectAlive()
  }

  @Test func openBeforeTheOffersWereAskedFor() throws {
    var guest = ScriptedGuest()
    _ = try guest.server.offer(ScriptedGuest.heartbeat)
    guest.connect(.v5_3)
    guest.share(1, on: 1, pages: 8)
    guest.openChannel(1, ring: 1)
    #expect(guest.count(.unknownChannel) == 2)
    guest.send(.requestOffers(RequestOffers()))
    guest.expectAlive()
  }

  @Test func openOfAnOpenChannel() throws {
    var guest = try ScriptedGuest.open()
    guest.openChannel(1, ring: 100)
    #expect(
      guest.replies() == [
        .openResult(OpenResult(channel: ChannelID(1), openID: OpenID(77), status: .invalidDeviceState))
      ])
    #expect(guest.takeEffects().isEmpty && guest.count(.channelAlreadyOpen) == 1)
    #expect(guest.server.channels.first?.state == .open)
    guest.expectAlive()
  }

  @Test func openWithAnotherChannelsOrNoOrAnUnfinishedGPADL() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 2, pages: 8)
    guest.share(2, on: 1, bytes: 72, ranges: 1, [8 * 4096])
    for ring in [UInt32(0), 1, 2, 3] { guest.openChannel(1, ring: ring) }
    guest.share(4, on: 1, pages: 8)
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(4))))
    guest.openChannel(1, ring: 4)
    #expect(guest.count(.noRingGPADL) == 5)
    guest.expectAlive()
  }

  @Test(arguments: [0, 1, 7, 8, 9, UInt32.max]) func openWithAnImpossibleSecondRing(_ offset: UInt32) throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 1, pages: 8)
    guest.openChannel(1, ring: 1, offset: offset)
    #expect(guest.count(.ringOffset) == 1)
    #expect(
      guest.replies().last
        == .openResult(OpenResult(channel: ChannelID(1), openID: OpenID(77), status: .invalidParameter)))
    guest.expectAlive()
  }

  @Test func openForAProcessorThatIsNotThere() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 1, pages: 8)
    guest.openChannel(1, ring: 1, targetVP: 2)
    #expect(guest.count(.absentProcessor) == 1)
    guest.openChannel(1, ring: 1, targetVP: 0xFFFF_FFFF)
    guest.completeOpening()
    #expect(guest.server.channels.first?.targetVP == VPIndex.none)
    guest.expectAlive()
  }

  @Test func closeTwiceAndBeforeOpen() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(2))))
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    #expect(guest.count(.channelNotOpen) == 2)
    #expect(guest.takeEffects() == [.closeChannel(ChannelID(1))])
    guest.expectAlive()
  }

  @Test func closeWhileTheOpeningIsUnderWay() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 1, pages: 8)
    guest.openChannel(1, ring: 1)
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    #expect(guest.takeEffects().last == .closeChannel(ChannelID(1)))
    guest.expectAlive()
  }

  @Test func modifyToAnAbsentProcessorAFloodAndInEveryOtherState() throws {
    var guest = try ScriptedGuest.open()
    for _ in 0..<100_000 {
      guest.send(.modifyChannel(ModifyChannel(channel: ChannelID(1), targetVP: VPIndex(2))))
      if guest.server.pendingMessageCount > 64 { _ = guest.replies() }
    }
    #expect(guest.count(.absentProcessor) == 100_000)
    for id in [UInt32(0), 2, 3] {
      guest.send(.modifyChannel(ModifyChannel(channel: ChannelID(id), targetVP: VPIndex(0))))
    }
    #expect(guest.count(.unknownChannel) == 2 && guest.count(.channelNotOpen) == 1)
    try guest.rescind(1)
    guest.send(.modifyChannel(ModifyChannel(channel: ChannelID(1), targetVP: VPIndex(0))))
    #expect(guest.count(.channelRescinded) == 1)
    guest.expectAlive()
  }

  @Test func releaseWithoutARescindAndTwice() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(1))))
    #expect(guest.count(.channelNotRescinded) == 1)
    #expect(guest.server.channels.first?.state == .open)
    try guest.rescind(1)
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(1))))
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(1))))
    #expect(guest.count(.unknownChannel) == 1)
    guest.expectAlive()
  }

  /// A rescinded channel released with everything on it still open: nothing of it stays.
  @Test func releaseWithTheRingStillShared() throws {
    var guest = try ScriptedGuest.open()
    guest.share(2, on: 1, pages: 60)
    try guest.rescind(1)
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(1))))
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(2))))
    #expect(guest.count(.unknownGPADL) == 1)
    guest.expectAlive()
  }

  @Test func reservedChannelsAndSockets() throws {
    var guest = try ScriptedGuest.ready()
    guest.send(
      .openReservedChannel(
        OpenReservedChannel(
          channel: ChannelID(1), targetVP: VPIndex(0), targetSINT: 2, ringGPADL: GPADLID(1), hostToGuestPageOffset: 1)))
    guest.send(.closeReservedChannel(CloseReservedChannel(channel: ChannelID(1), targetVP: VPIndex(0), targetSINT: 2)))
    let zero = GUID(low: 0, high: 0)
    guest.send(.socketConnectRequest(SocketConnectRequest(endpoint: zero, service: zero)))
    #expect(
      guest.replies() == [
        .closeReservedChannelResponse(CloseReservedChannelResponse(channel: ChannelID(1))),
        .socketConnectResult(SocketConnectResult(endpoint: zero, service: zero, status: .connectionRefused)),
      ])
    guest.expectAlive()
  }

  // MARK: Memory

  /// {byte count | byte offset << 32, frames…}, with the counts of the header.
  struct Header: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: UInt16
    var ranges: UInt16
    var words: [UInt64]
    var refusal: BusRefusal
    var testDescription: String { name }
  }

  static let headers = [
    Header(name: "no range", bytes: 16, ranges: 0, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "two ranges, words for one", bytes: 16, ranges: 2, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "65535 ranges", bytes: 0xFFF8, ranges: 0xFFFF, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "no bytes", bytes: 0, ranges: 1, words: [], refusal: .gpadlRanges),
    Header(name: "a range without frames", bytes: 8, ranges: 1, words: [4096], refusal: .gpadlRanges),
    Header(name: "half a word", bytes: 20, ranges: 1, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte count 0", bytes: 16, ranges: 1, words: [0, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte count 2^32-1", bytes: 16, ranges: 1, words: [0xFFFF_FFFF, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte offset 4096", bytes: 16, ranges: 1, words: [1 | 4096 << 32, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte offset 2^32-1", bytes: 16, ranges: 1, words: [.max, 0x1000], refusal: .gpadlRanges),
    Header(name: "a frame too few", bytes: 16, ranges: 1, words: [4097, 0x1000], refusal: .gpadlRanges),
    Header(name: "a frame too many", bytes: 24, ranges: 1, words: [4096, 0x1000, 0x1001], refusal: .gpadlRanges),
    Header(name: "outside of memory", bytes: 16, ranges: 1, words: [4096, 0x100], refusal: .gpadlOutsideMemory),
    Header(
      name: "last frame outside", bytes: 24, ranges: 1, words: [8192, 0x1000, 0x8000], refusal: .gpadlOutsideMemory),
    Header(name: "frame 2^52", bytes: 16, ranges: 1, words: [4096, 1 << 52], refusal: .gpadlOutsideMemory),
    Header(name: "frame 2^64-1", bytes: 16, ranges: 1, words: [4096, .max], refusal: .gpadlOutsideMemory),
  ]

  @Test(arguments: headers) func gpadlHeadersThatLie(_ header: Header) throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 1, bytes: header.bytes, ranges: header.ranges, header.words)
    #expect(guest.count(header.refusal) == 1)
    guard case .gpadlCreated(let created) = guest.replies().last else {
      Issue.record("no answer")
      return
    }
    #expect(created.status != .success && created.gpadl == GPADLID(1))
    #expect(guest.server.channels.allSatisfy { $0.gpadlCount == 0 })
    guest.expectAlive()
  }

  /// Legal: a guest may map one page twice, and harm itself.
  @Test func duplicateFrames() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 1, bytes: 40, ranges: 1, [4 * 4096, 0x1000, 0x1000, 0x1000, 0x1000])
    #expect(guest.server.gpadl(GPADLID(1), on: ChannelID(1)) != nil)
    guest.expectAlive()
  }

  @Test func aSecondHeaderForAnExistingGPADL() throws {
    var guest = try ScriptedGuest.open()
    guest.share(100, on: 1, pages: 4)
    guest.share(100, on: 2, pages: 4)
    #expect(guest.count(.gpadlExists) == 2)
    #expect(guest.server.gpadl(GPADLID(100), on: ChannelID(1))?.ranges.first?.frames.count == 8)
    guest.expectAlive()
  }

  @Test func bodiesForNobodyForACompleteGPADLAndEmptyOnes() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.gpadlBody(GPADLBody(gpadl: GPADLID(9), words: GPADLWords())))
    guest.send(.gpadlBody(GPADLBody(gpadl: GPADLID(100), words: GPADLWords())))
    #expect(guest.count(.unknownGPADL) == 1 && guest.count(.gpadlComplete) == 1)
    guest.share(1, on: 1, bytes: 800, ranges: 1, [99 * 4096])
    for _ in 0..<1000 { guest.send(.gpadlBody(GPADLBody(gpadl: GPADLID(1), words: GPADLWords()))) }
    #expect(guest.replies().isEmpty)
    guest.expectAlive()
  }

  @Test func teardownOfAnUnknownATwiceTornAndAnotherChannelsGPADL() throws {
    var guest = try ScriptedGuest.open()
    let torn = HostMessage.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(5)))
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(5))))
    #expect(guest.replies() == [torn])
    guest.share(5, on: 1, pages: 4)
    for _ in 0..<2 { guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(5)))) }
    #expect(guest.replies().suffix(2) == [torn, torn])
    #expect(guest.count(.unknownGPADL) == 2)
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(2), gpadl: GPADLID(100))))
    #expect(guest.replies().isEmpty && guest.count(.gpadlOfOtherChannel) == 1)
    #expect(guest.server.gpadl(GPADLID(100), on: ChannelID(1)) != nil)
    guest.expectAlive()
  }

  /// The owner must never be left with a ring that the guest believes to be its own again.
  @Test func teardownOfTheRingOfAnOpenChannelClosesItFirst() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(100))))
    #expect(guest.takeEffects() == [.closeChannel(ChannelID(1)), .releaseGPADL(GPADLID(100), ChannelID(1))])
    #expect(guest.replies() == [.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(100)))])
    #expect(guest.server.channels.first?.state == .offered)
    guest.expectAlive()
  }

  // MARK: Floods

  /// A guest that never takes its messages: at the limit it is refused, and nothing grows.
  @Test func aGuestThatNeverEmptiesItsSlot() throws {
    var limits = BusServerLimits()
    limits.replies = 16
    var guest = try ScriptedGuest.ready(limits: limits)
    for index in 0..<UInt32(10_000) {
      let status = guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(index))))
      #expect(status == (index < 16 ? .success : .insufficientBuffers))
    }
    #expect(guest.server.pendingMessageCount == 16)
    #expect(guest.count(.queueFull) == 10_000 - 16)
    // What needs no answer is heard, and room makes room.
    #expect(guest.send(.closeChannel(CloseChannel(channel: ChannelID(1)))) == .success)
    _ = guest.replies()
    guest.expectAlive()
  }

  /// Contacts and unloads empty the queue before they are answered.
  @Test func aFloodOfContactsAndUnloads() throws {
    var guest = try ScriptedGuest.ready()
    for index in 0..<10_000 {
      if index % 3 == 0 { guest.send(.unload(Unload())) } else { guest.connect(.v5_3) }
      #expect(guest.server.pendingMessageCount <= 1)
    }
  }

  /// GPADL headers whose bodies never come are counted by what they announce.
  @Test func gpadlsThatAreNeverFinished() throws {
    var limits = BusServerLimits()
    limits.gpadlWords = 20_000
    limits.gpadls = 50
    var guest = try ScriptedGuest.ready(limits: limits)
    for id in 0..<UInt32(1000) {
      guest.share(id, on: 1, bytes: 0xFFF8, ranges: 1, [4096 * 8000])
      _ = guest.replies()
    }
    #expect(guest.server.channels.first?.gpadlCount == 2)
    #expect(guest.count(.gpadlLimit) == 998)
    for id in 1000..<UInt32(2000) {
      guest.share(id, on: 1, bytes: 16, ranges: 1, [4096, 0x1000])
      _ = guest.replies()
    }
    #expect(guest.server.channels.first?.gpadlCount == 50)
    guest.send(.unload(Unload()))
    guest.connect(.v5_3)
    guest.send(.requestOffers(RequestOffers()))
    guest.expectAlive()
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

/// Openings, closings, modifications and releases at the wrong time or with the wrong content.
extension HostileGuestTests {
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
}

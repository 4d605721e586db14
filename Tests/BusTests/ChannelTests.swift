// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

/// Open, close, modify, rescind: the server against a scripted guest.
@Suite struct ChannelTests {
  @Test func anOpeningTellsTheOwnerAllItNeedsAndWaitsForIt() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(100, on: 1, pages: 10)
    guest.openChannel(1, ring: 100, offset: 6, targetVP: 1)
    #expect(guest.replies().count == 1)
    guard case .openChannel(let opening) = guest.effects.last else {
      Issue.record("no opening")
      return
    }
    #expect(opening.channel == ChannelID(1) && opening.connection == ConnectionID(0x2001))
    #expect(opening.guestToHostFrames == Array(0x1000..<0x1006) && opening.hostToGuestFrames == Array(0x1006..<0x100A))
    #expect(opening.targetVP == VPIndex(1) && opening.ringGPADL == GPADLID(100))
    guest.completeOpening()
    #expect(
      guest.replies() == [.openResult(OpenResult(channel: ChannelID(1), openID: OpenID(77), status: .success))])
    #expect(guest.server.channels.first?.state == .open)
    #expect(guest.server.openChannel(signalledOn: ConnectionID(0x2001)) == ChannelID(1))
    #expect(guest.server.openChannel(signalledOn: ConnectionID(0x2002)) == nil)
    #expect(guest.server.openChannel(signalledOn: ConnectionID(0)) == nil)
  }

  @Test func anOpeningThatTheOwnerRefusesFails() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(100, on: 1, pages: 8)
    guest.openChannel(1, ring: 100)
    guest.completeOpening(success: false)
    #expect(
      guest.replies().last
        == .openResult(OpenResult(channel: ChannelID(1), openID: OpenID(77), status: .unsuccessful)))
    #expect(guest.server.channels.first?.state == .offered)
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(100))))
    guest.expectAlive()
  }

  @Test func aCloseIsSilentAndLeavesTheMemory() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    #expect(guest.takeEffects() == [.closeChannel(ChannelID(1))])
    #expect(guest.replies().isEmpty)
    #expect(guest.server.gpadl(GPADLID(100), on: ChannelID(1)) != nil)
    guest.openChannel(1, ring: 100)
    guest.completeOpening()
    #expect(guest.server.channels.first?.state == .open)
  }

  /// From 4.1 on the interrupts move; from 5.3 on the guest waits for the answer.
  @Test(arguments: ContactTests.versions) func modifyMovesTheInterrupts(_ version: ProtocolVersion) throws {
    var guest = try ScriptedGuest.open(version)
    guest.send(.modifyChannel(ModifyChannel(channel: ChannelID(1), targetVP: VPIndex(1))))
    if version < .v4_1 {
      #expect(guest.takeEffects().isEmpty && guest.count(.notInVersion) == 1)
    } else {
      #expect(guest.takeEffects() == [.retargetChannel(ChannelID(1), VPIndex(1))])
      #expect(guest.server.channels.first?.targetVP == VPIndex(1))
    }
    let answer = HostMessage.modifyChannelResponse(ModifyChannelResponse(channel: ChannelID(1), status: .success))
    #expect(guest.replies() == (version < .v5_3 ? [] : [answer]))
  }

  @Test func aTargetOfNoProcessorTurnsInterruptsOff() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.modifyChannel(ModifyChannel(channel: ChannelID(1), targetVP: .none)))
    #expect(guest.takeEffects() == [.retargetChannel(ChannelID(1), .none)])
  }

  /// Rescind of an open channel: the owner lets go at once, the guest in its own time; everything it asks in between
  /// is answered, and the number is not used again before it says so.
  @Test func rescindOfAnOpenChannel() throws {
    var guest = try ScriptedGuest.open()
    try guest.rescind(1)
    #expect(guest.takeEffects() == [.closeChannel(ChannelID(1)), .releaseGPADL(GPADLID(100), ChannelID(1))])
    #expect(guest.replies() == [.rescind(Rescind(channel: ChannelID(1)))])
    #expect(throws: BusServerError.notOffered(ChannelID(1))) {
      try guest.server.rescind(ChannelID(1), effects: &guest.effects)
    }

    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(100))))
    #expect(guest.replies() == [.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(100)))])
    #expect(guest.takeEffects().isEmpty)

    var other = ScriptedGuest.network
    other.instanceID = GUID(low: 9, high: 9)
    #expect(try guest.server.offer(other) == ChannelID(3))
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(1))))
    #expect(guest.takeEffects() == [.channelReleased(ChannelID(1))])
    other.instanceID = GUID(low: 10, high: 10)
    #expect(try guest.server.offer(other) == ChannelID(1))
  }

  /// Linux drops an offer whose GUIDs it still has in its list, so the successor waits for the release.
  @Test func aServiceThatIsSwitchedOffAndOnComesBackAfterTheRelease() throws {
    var guest = try ScriptedGuest.open()
    for round in 0..<20 {
      let old = try #require(guest.server.channels.first { $0.description == ScriptedGuest.heartbeat }).channel
      try guest.rescind(old.rawValue)
      let new = try guest.server.offer(ScriptedGuest.heartbeat)
      #expect(new != old)
      #expect(guest.replies() == [.rescind(Rescind(channel: old))], "round \(round)")
      guest.send(.channelReleased(ChannelReleased(channel: old)))
      guard case .offer(let offer) = guest.replies().first else {
        Issue.record("no offer in round \(round)")
        return
      }
      #expect(offer.channel == new)
    }
    #expect(guest.server.channels.count == 2)
  }

  /// A guest that has not seen the offer never hears of it.
  @Test func rescindOfAnUnsentOfferIsSilent() throws {
    var guest = try ScriptedGuest.ready()
    var other = ScriptedGuest.network
    other.instanceID = GUID(low: 9, high: 9)
    let id = try guest.server.offer(other)
    try guest.rescind(id.rawValue)
    #expect(guest.takeEffects() == [.channelReleased(id)])
    #expect(guest.replies().isEmpty)
  }

  @Test func rescindWithoutAGuestIsARelease() throws {
    var guest = ScriptedGuest()
    let id = try guest.server.offer(ScriptedGuest.heartbeat)
    try guest.rescind(id.rawValue)
    #expect(guest.takeEffects() == [.channelReleased(id)])
  }

  /// Facts 4.4: messages 8 and 5 that cross the rescind are answered with success and with a failure.
  @Test func messagesThatCrossARescindAreAnswered() throws {
    var guest = try ScriptedGuest.ready()
    try guest.rescind(1)
    guest.share(100, on: 1, pages: 8)
    guest.openChannel(1, ring: 100)
    #expect(
      guest.replies() == [
        .rescind(Rescind(channel: ChannelID(1))),
        .gpadlCreated(GPADLCreated(channel: ChannelID(1), gpadl: GPADLID(100), status: .success)),
        .openResult(OpenResult(channel: ChannelID(1), openID: OpenID(77), status: .invalidDeviceState)),
      ])
    #expect(guest.takeEffects().isEmpty)
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(1))))
    #expect(guest.takeEffects() == [.channelReleased(ChannelID(1))])
  }

  /// The opener is told before the rescind, and the owner's late completion changes nothing.
  @Test func rescindEndsAnOpeningThatIsUnderWay() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(100, on: 1, pages: 8)
    guest.openChannel(1, ring: 100)
    _ = guest.replies()
    try guest.rescind(1)
    guest.completeOpening()
    #expect(
      guest.replies() == [
        .openResult(OpenResult(channel: ChannelID(1), openID: OpenID(77), status: .invalidDeviceState)),
        .rescind(Rescind(channel: ChannelID(1))),
      ])
  }

  /// The completion of an opening that the guest has closed must not be taken for the next one's.
  @Test func aLateCompletionIsNotTakenForAnotherOpening() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(100, on: 1, pages: 8)
    guest.openChannel(1, ring: 100)
    guard case .openChannel(let first) = guest.effects.last else {
      Issue.record("no opening")
      return
    }
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    guest.openChannel(1, ring: 100)
    _ = guest.replies()
    guest.server.openCompleted(first.ticket, success: false)
    #expect(guest.replies().isEmpty)
    #expect(guest.server.channels.first?.state == .opening)
    guest.completeOpening()
    #expect(guest.server.channels.first?.state == .open)
  }

  @Test func numbersRunOutInsteadOfOver() throws {
    var guest = ScriptedGuest()
    var description = ScriptedGuest.network
    for index in 1...2047 {
      description.instanceID = GUID(low: UInt64(index), high: 3)
      #expect(try guest.server.offer(description).rawValue == UInt32(index))
    }
    description.instanceID = GUID(low: 0, high: 4)
    #expect(throws: BusServerError.noChannelNumber) { try guest.server.offer(description) }
    guest.connect(.v5_3)
    guest.send(.requestOffers(RequestOffers()))
    #expect(guest.replies().count == 2049)
  }
}

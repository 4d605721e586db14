// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusGuest
import VMBusHost

/// What a hostile host will try on the guest's client: nothing traps, what comes out of turn is dropped and counted,
/// and the client goes on.
@Suite struct HostileHostTests {
  @Test(arguments: [0, 2048, UInt32.max]) func offersWithImpossibleNumbers(_ id: UInt32) throws {
    var wired = WiredGuest()
    try wired.connect()
    wired.receive(.offer(offer(id)))
    #expect(wired.client.count(of: .channelNumber) == 1)
    wired.receive(.offer(offer(2047)))
    #expect(wired.client.channel(ChannelID(2047)) != nil)
    #expect(wired.client.brokenInvariant() == nil)
  }

  @Test func duplicateOffers() throws {
    var wired = WiredGuest()
    try wired.connect()
    wired.receive(.offer(offer(5)))
    wired.receive(.offer(offer(5)))
    #expect(wired.client.count(of: .channelExists) == 1)
    var twin = offer(6)
    twin.instanceID = offer(5).instanceID
    wired.receive(.offer(twin))
    #expect(wired.client.count(of: .channelTwin) == 1)
    // A sub-channel shares the GUIDs of its primary.
    twin.subChannelIndex = 1
    wired.receive(.offer(twin))
    #expect(wired.client.channel(ChannelID(6)) != nil)
  }

  @Test func fourThousandOffers() throws {
    var wired = WiredGuest(channels: 16)
    try wired.connect()
    for round in 0..<2 {
      for id in UInt32(1)...2000 { wired.receive(.offer(offer(id))) }
      #expect(wired.client.count(of: .channelTableFull) == 1984 * UInt32(round + 1))
    }
    #expect(wired.client.brokenInvariant() == nil)
  }

  @Test func offersBeforeTheRequestAndAfterTheUnload() throws {
    var wired = WiredGuest()
    wired.receive(.offer(offer(1)))
    try wired.client.connect(to: &wired.host)
    wired.receive(.offer(offer(1)))
    wired.run()
    wired.receive(.offer(offer(1)))
    wired.receive(.allOffersDelivered(AllOffersDelivered()))
    try wired.client.unload(&wired.host)
    wired.receive(.offer(offer(1)))
    wired.run()
    wired.receive(.offer(offer(1)))
    #expect(wired.client.count(of: .notConnected) == 6)
    #expect(wired.client.channel(ChannelID(1)) == nil)
  }

  @Test func answersToThingsNeverAskedFor() throws {
    var wired = WiredGuest()
    let ring = try wired.openFirst()
    let id = ChannelID(1)
    wired.receive(.versionResponse(VersionResponse(isSupported: true, state: .successful, versionOrConnection: 1)))
    wired.receive(.unloadResponse(UnloadResponse()))
    wired.receive(.openResult(OpenResult(channel: id, openID: OpenID(1), status: .unsuccessful)))
    wired.receive(.openResult(OpenResult(channel: ChannelID(9), openID: OpenID(1), status: .success)))
    wired.receive(.gpadlCreated(GPADLCreated(channel: id, gpadl: ring, status: .unsuccessful)))
    wired.receive(.gpadlCreated(GPADLCreated(channel: ChannelID(2), gpadl: ring, status: .success)))
    wired.receive(.gpadlTorndown(GPADLTorndown(gpadl: ring)))
    wired.receive(.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(0))))
    wired.receive(.modifyChannelResponse(ModifyChannelResponse(channel: id, status: .success)))
    wired.receive(.modifyChannelResponse(ModifyChannelResponse(channel: ChannelID(0), status: .success)))
    wired.receive(.closeReservedChannelResponse(CloseReservedChannelResponse(channel: id)))
    wired.receive(.rescind(Rescind(channel: ChannelID(9))))
    #expect(wired.takeEvents().allSatisfy { if case .refused = $0 { true } else { false } })
    #expect(wired.client.channel(id)?.state == .open && wired.client.brokenInvariant() == nil)
    try wired.client.close(id, &wired.host)
    try wired.client.tearDown(ring, &wired.host)
    wired.run()
    #expect(wired.takeEvents() == [.gpadlTornDown(ring, id)])
  }

  @Test func theResultOfAnotherOpening() throws {
    var wired = WiredGuest()
    let ring = try wired.openFirst()
    try wired.client.close(ChannelID(1), &wired.host)
    try wired.client.open(ChannelID(1), ring: ring, hostToGuestPageOffset: 4, targetVP: VPIndex(0), &wired.host)
    wired.receive(.openResult(OpenResult(channel: ChannelID(1), openID: OpenID(1), status: .success)))
    #expect(wired.client.count(of: .openNotAsked) == 1)
    wired.run()
    #expect(wired.client.channel(ChannelID(1))?.state == .open)
  }

  @Test func aSecondRescind() throws {
    var wired = WiredGuest()
    _ = try wired.openFirst()
    wired.receive(.rescind(Rescind(channel: ChannelID(1))))
    wired.receive(.rescind(Rescind(channel: ChannelID(1))))
    #expect(wired.client.count(of: .rescindedTwice) == 1)
  }

  @Test func messagesOfNoAndUnknownAndTheWrongKind() throws {
    var wired = WiredGuest()
    try wired.connect()
    wired.receive(bytes: [])
    wired.receive(bytes: [1, 0, 0])
    wired.receive(bytes: [0, 0, 0, 0, 0, 0, 0, 0])
    wired.receive(bytes: [25, 0, 0, 0, 0, 0, 0, 0])
    wired.receive(bytes: [16, 0, 0, 0, 0, 0, 0, 0])
    wired.receive(bytes: [1] + [UInt8](repeating: 0, count: 194))
    wired.receive(bytes: [UInt8](repeating: 1, count: 255))
    #expect(wired.client.count(of: .noHeader) == 2 && wired.client.count(of: .unknownType) == 2)
    #expect(wired.client.count(of: .guestMessage) == 1 && wired.client.count(of: .malformed) == 1)
    #expect(wired.client.count(of: .tooLong) == 1)
  }

  /// The shell's time limit ends a contact that is not answered: on to the next version, and to an end.
  @Test func aHostThatNeverAnswersAContact() throws {
    var wired = WiredGuest()
    wired.host.forcedStatus = .success
    try wired.client.connect(to: &wired.host)
    for index in 0..<ProtocolVersion.supportedCount {
      #expect(wired.client.state == .contacting(index))
      wired.client.contactTimedOut(&wired.host)
    }
    #expect(wired.client.state == .disconnected)
    #expect(wired.takeEvents() == [.connectFailed(.noCommonVersion)])
    wired.host.forcedStatus = nil
    try wired.connect()
  }

  @Test func aHostThatRefusesEveryVersionOrTheHypercall() throws {
    var wired = WiredGuest()
    wired.host.forcedStatus = .success
    try wired.client.connect(to: &wired.host)
    for _ in 0..<ProtocolVersion.supportedCount {
      wired.receive(.versionResponse(VersionResponse(isSupported: false, state: .successful, versionOrConnection: 0)))
    }
    wired.host.forcedStatus = .accessDenied
    try wired.client.connect(to: &wired.host)
    wired.host.forcedStatus = .invalidConnectionID
    try wired.client.connect(to: &wired.host)
    #expect(
      wired.takeEvents() == [
        .connectFailed(.noCommonVersion), .connectFailed(.post(.accessDenied)), .connectFailed(.noCommonVersion),
      ])
  }

  /// Every wait that a rescind ends is ended by an event.
  @Test func aRescindEndsEveryWait() throws {
    var wired = WiredGuest()
    let ring = try wired.openFirst()
    let id = ChannelID(1)
    try wired.client.close(id, &wired.host)
    wired.host.forcedStatus = .success
    let creating = try wired.client.createGPADL(on: id, ConsecutiveFrames(first: 0x1000, count: 1), &wired.host)
    try wired.client.open(id, ring: ring, hostToGuestPageOffset: 4, targetVP: VPIndex(0), &wired.host)
    wired.receive(.rescind(Rescind(channel: id)))
    #expect(
      wired.takeEvents() == [
        .opened(id, .invalidDeviceState), .gpadlCreated(creating, id, .invalidDeviceState), .rescinded(id),
      ])
    // Late answers are no mistake of the host's.
    wired.receive(.gpadlCreated(GPADLCreated(channel: id, gpadl: creating, status: .success)))
    wired.receive(.openResult(OpenResult(channel: id, openID: OpenID(2), status: .success)))
    #expect(wired.takeEvents().isEmpty && !wired.client.isWaiting)
    #expect(wired.client.brokenInvariant() == nil)
  }

  private func offer(_ id: UInt32) -> Offer {
    Offer(
      classID: GUID(low: 1, high: 1), instanceID: GUID(low: UInt64(id), high: 2), channel: ChannelID(id),
      connection: .channel(ChannelID(id)))
  }
}

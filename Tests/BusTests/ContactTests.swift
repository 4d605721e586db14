// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

/// Contact, offers, unload: the server against a scripted guest.
@Suite struct ContactTests {
  static let versions: [ProtocolVersion] = [.v5_3, .v5_2, .v5_1, .v5_0, .v4_1, .v4_0, .v3_0, .v2_4]

  @Test(arguments: versions) func aContactAtEachVersionIsAnswered(_ version: ProtocolVersion) throws {
    var guest = ScriptedGuest()
    guest.connect(version, targetVP: 1)
    let vp = VPIndex(version == .v2_4 ? 0 : 1)
    let selection: UInt32 = version.usesMessageConnection ? 4 : version.rawValue
    #expect(guest.server.nextMessage()?.targetVP == vp)
    #expect(
      guest.replies() == [
        .versionResponse(VersionResponse(isSupported: true, state: .successful, versionOrConnection: selection))
      ])
    #expect(guest.takeEffects() == [.contacted(version, targetVP: vp)])
    #expect(guest.server.version == version)
  }

  /// A cap below 5.0: the port of newer guests doesn't exist, so that Linux goes on to 4.1 without an answer.
  @Test func aCappedHostHasNoPortForNewerGuests() {
    var guest = ScriptedGuest(maximumVersion: .v4_1)
    let contact = GuestMessage.initiateContact(
      InitiateContact(version: .v5_3, targetVP: VPIndex(0), interruptPageOrTarget: 2))
    #expect(guest.send(contact.encoded, on: .messages) == .invalidConnectionID)
    #expect(guest.replies().isEmpty)
    guest.connect(.v4_1)
    #expect(guest.server.version == .v4_1)
  }

  @Test(arguments: versions) func aCapRefusesAllThatIsNewer(_ cap: ProtocolVersion) {
    var guest = ScriptedGuest(maximumVersion: cap)
    for version in Self.versions {
      let contact = GuestMessage.initiateContact(
        InitiateContact(version: version, targetVP: VPIndex(0), interruptPageOrTarget: 2))
      _ = guest.send(contact.encoded, on: .legacyMessages)
      guard case .versionResponse(let response) = guest.replies().last else {
        Issue.record("no answer at \(version)")
        continue
      }
      #expect(response.isSupported == (version <= cap), "\(version) on a host capped at \(cap)")
    }
  }

  @Test(arguments: [ProtocolVersion.v6_0, .v1_1, .v0_13, ProtocolVersion(rawValue: 0), ProtocolVersion(rawValue: .max)])
  func anUnknownVersionIsRefusedAndAValidRetryConnects(_ version: ProtocolVersion) {
    var guest = ScriptedGuest()
    guest.connect(version)
    #expect(
      guest.replies() == [
        .versionResponse(VersionResponse(isSupported: false, state: .successful, versionOrConnection: 0))
      ])
    #expect(guest.server.version == nil)
    #expect(guest.count(.unsupportedVersion) == 1)
    guest.connect(.v5_3)
    #expect(guest.server.version == .v5_3)
  }

  @Test func offersComeOnceInOrderAndThenTheEnd() throws {
    var guest = ScriptedGuest()
    let first = try guest.server.offer(ScriptedGuest.heartbeat)
    let second = try guest.server.offer(ScriptedGuest.network)
    guest.connect(.v5_3)
    #expect(guest.replies().count == 1)
    guest.send(.requestOffers(RequestOffers()))
    let replies = guest.replies()
    #expect(replies.count == 3)
    guard case .offer(let heartbeat) = replies[0], case .offer(let network) = replies[1] else {
      Issue.record("no offers")
      return
    }
    #expect(heartbeat.channel == first && network.channel == second)
    #expect(heartbeat.connection == ConnectionID(0x2001) && network.connection == ConnectionID(0x2002))
    #expect(heartbeat.flags.rawValue == 0x11 && heartbeat.userData.words[0] == 4)
    #expect(network.flags == .none && network.userData == UserData())
    #expect(heartbeat.hasDedicatedInterrupt && !heartbeat.monitorAllocated)
    #expect(replies[2] == .allOffersDelivered(AllOffersDelivered()))

    guest.send(.requestOffers(RequestOffers()))
    #expect(guest.replies().isEmpty)
    #expect(guest.count(.offersRequestedTwice) == 1)
  }

  /// A device added later reaches a guest that has its offers, and no other.
  @Test func lateOffersReachTheGuest() throws {
    var guest = ScriptedGuest()
    guest.connect(.v5_3)
    _ = try guest.server.offer(ScriptedGuest.heartbeat)
    #expect(guest.replies().count == 1)
    guest.send(.requestOffers(RequestOffers()))
    #expect(guest.replies().count == 2)
    _ = try guest.server.offer(ScriptedGuest.network)
    #expect(guest.replies().count == 1)
    #expect(throws: BusServerError.alreadyOffered(ChannelID(2))) { try guest.server.offer(ScriptedGuest.network) }
  }

  @Test(arguments: versions) func unloadDropsEverythingAndIsAnswered(_ version: ProtocolVersion) throws {
    var guest = try ScriptedGuest.open(version)
    guest.share(101, on: 1, pages: 40)
    _ = guest.replies()
    guest.send(.unload(Unload()))
    #expect(guest.replies() == [.unloadResponse(UnloadResponse())])
    #expect(
      guest.takeEffects() == [
        .shareGPADL(GPADLID(101), ChannelID(1)),
        .closeChannel(ChannelID(1)), .releaseGPADL(GPADLID(100), ChannelID(1)),
        .releaseGPADL(GPADLID(101), ChannelID(1)), .unloaded,
      ])
    #expect(guest.server.version == nil)
    #expect(guest.server.channels.map(\.state) == [.waiting, .waiting])
  }

  /// Linux may unload a bus that it never connected, and waits for the answer (100 s after a panic).
  @Test func anUnloadWithoutAContactIsAnswered() {
    var guest = ScriptedGuest()
    guest.send(.unload(Unload()))
    #expect(guest.replies() == [.unloadResponse(UnloadResponse())])
    #expect(guest.takeEffects().isEmpty)
  }

  /// kexec and kdump: the new kernel makes contact while the old one's channels are open. As an unload, but without
  /// its answer, which nobody waits for.
  @Test func aSecondContactIsAnUnloadWithoutAResponse() throws {
    var guest = try ScriptedGuest.open(.v5_3)
    guest.connect(.v4_1)
    #expect(
      guest.replies() == [
        .versionResponse(
          VersionResponse(isSupported: true, state: .successful, versionOrConnection: ProtocolVersion.v4_1.rawValue))
      ])
    #expect(
      guest.takeEffects() == [
        .closeChannel(ChannelID(1)), .releaseGPADL(GPADLID(100), ChannelID(1)),
        .contacted(.v4_1, targetVP: VPIndex(0)),
      ])
    #expect(guest.server.gpadl(GPADLID(100), on: ChannelID(1)) == nil)
    guest.send(.requestOffers(RequestOffers()))
    #expect(guest.replies().count == 3)
    guest.expectAlive()
  }

  /// A refused contact drops the old connection too: the kernel that asks is not the one that was connected.
  @Test func aRefusedContactDisconnects() throws {
    var guest = try ScriptedGuest.open()
    guest.connect(.v6_0)
    #expect(guest.server.version == nil)
    #expect(guest.takeEffects().first == .closeChannel(ChannelID(1)))
  }

  @Test func resetDropsTheGuestAndKeepsThePrimaryOffers() throws {
    var guest = try ScriptedGuest.open()
    var sub = ScriptedGuest.network
    sub.subChannelIndex = 1
    let subChannel = try guest.server.offer(sub)
    guest.reset()
    #expect(
      guest.takeEffects() == [
        .closeChannel(ChannelID(1)), .releaseGPADL(GPADLID(100), ChannelID(1)), .channelReleased(subChannel),
      ])
    #expect(guest.replies().isEmpty)
    #expect(guest.server.channels.map(\.channel.rawValue) == [1, 2])
    guest.connect(.v5_3)
    guest.send(.requestOffers(RequestOffers()))
    #expect(guest.replies().count == 4)
  }

  /// Below 5.0 every message comes on connection 1, from 5.0 on on the one that the answer named.
  @Test func messagesComeOnTheConnectionOfTheVersion() throws {
    for version in Self.versions {
      var guest = ScriptedGuest()
      guest.connect(version)
      let wrong: ConnectionID = version.usesMessageConnection ? .legacyMessages : .messages
      #expect(guest.send(GuestMessage.requestOffers(RequestOffers()).encoded, on: wrong) == .invalidConnectionID)
      #expect(guest.send(.requestOffers(RequestOffers())) == .success)
      #expect(guest.count(.wrongConnection) == 1)
    }
  }
}

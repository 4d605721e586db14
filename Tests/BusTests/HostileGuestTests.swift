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
    #expect(guest.count(.notConnected) == 6)
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

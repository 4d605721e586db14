// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

/// Every message about a channel in every state of it: what is refused, and by what name. The table is the
/// specification; each cell is tried on a fresh bus.
@Suite struct StateTableTests {
  enum State: String, CaseIterable {
    case unknown, offered, opening, open, rescinded
  }

  enum Message: String, CaseIterable {
    case open, close, modify, release, share, takeBackRing
  }

  /// Nil: the message is in its place.
  static func refusal(_ message: Message, _ state: State) -> BusRefusal? {
    switch (message, state) {
    case (.open, .offered): nil
    case (.open, .opening), (.open, .open): .channelAlreadyOpen
    case (.open, .rescinded): .channelRescinded

    case (.close, .opening), (.close, .open): nil
    case (.close, .offered): .channelNotOpen
    // The guest closes a rescinded channel in its own time.
    case (.close, .rescinded): nil

    case (.modify, .open): nil
    case (.modify, .offered), (.modify, .opening): .channelNotOpen
    case (.modify, .rescinded): .channelRescinded

    case (.release, .rescinded): nil
    case (.release, .offered), (.release, .opening), (.release, .open): .channelNotRescinded

    // Memory may be shared before an opening, and what crosses a rescind is answered with success.
    case (.share, .offered), (.share, .opening), (.share, .open), (.share, .rescinded): nil

    case (.takeBackRing, .offered), (.takeBackRing, .rescinded): nil
    case (.takeBackRing, .opening), (.takeBackRing, .open): .gpadlInUse
    case (.takeBackRing, .unknown): .gpadlOfOtherChannel

    case (_, .unknown): .unknownChannel
    }
  }

  @Test(arguments: Message.allCases, State.allCases) func cell(_ message: Message, _ state: State) throws {
    var guest = try ScriptedGuest.ready()
    let channel: UInt32 = state == .unknown ? 9 : 1
    guest.share(100, on: 1, pages: 8)
    if state == .opening || state == .open { guest.openChannel(1, ring: 100) }
    if state == .open { guest.completeOpening() }
    if state == .rescinded { try guest.rescind(1) }

    switch message {
    case .open: guest.openChannel(channel, ring: 100)
    case .close: guest.send(.closeChannel(CloseChannel(channel: ChannelID(channel))))
    case .modify: guest.send(.modifyChannel(ModifyChannel(channel: ChannelID(channel), targetVP: VPIndex(1))))
    case .release: guest.send(.channelReleased(ChannelReleased(channel: ChannelID(channel))))
    case .share: guest.share(200, on: channel, pages: 30)
    case .takeBackRing:
      guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(channel), gpadl: GPADLID(100))))
    }

    let expected = Self.refusal(message, state)
    for refusal in BusRefusal.allCases {
      // The body that follows a refused header has no GPADL to go to.
      let follows = refusal == .unknownGPADL && message == .share && state == .unknown
      #expect(guest.count(refusal) == (refusal == expected || follows ? 1 : 0), "\(refusal)")
    }
    if state == .opening && message != .close && message != .takeBackRing { guest.completeOpening() }
    guest.send(.unload(Unload()))
    guest.connect(.v5_3)
    guest.send(.requestOffers(RequestOffers()))
    guest.expectAlive()
  }

  /// Without a connection nothing but a contact is in its place, and a release, which Linux sends after its unload; an
  /// unload is answered all the same.
  @Test func everythingWithoutAConnection() {
    for golden in StateTableTests.messages {
      var guest = ScriptedGuest()
      guest.send(golden)
      #expect(guest.count(.notConnected) == (golden.type == .channelReleased ? 0 : 1), "\(golden.type)")
    }
  }

  static let messages: [GuestMessage] = [
    .unload(Unload()), .requestOffers(RequestOffers()), .channelReleased(ChannelReleased(channel: ChannelID(1))),
    .openChannel(
      OpenChannel(
        channel: ChannelID(1), openID: OpenID(1), ringGPADL: GPADLID(1), targetVP: VPIndex(0),
        hostToGuestPageOffset: 2, userData: UserData())), .closeChannel(CloseChannel(channel: ChannelID(1))),
    .modifyChannel(ModifyChannel(channel: ChannelID(1), targetVP: VPIndex(0))),
    .openReservedChannel(
      OpenReservedChannel(
        channel: ChannelID(1), targetVP: VPIndex(0), targetSINT: 2, ringGPADL: GPADLID(1), hostToGuestPageOffset: 1)),
    .closeReservedChannel(CloseReservedChannel(channel: ChannelID(1), targetVP: VPIndex(0), targetSINT: 2)),
    .gpadlHeader(
      GPADLHeader(channel: ChannelID(1), gpadl: GPADLID(1), rangeBytes: 16, rangeCount: 1, words: GPADLWords())),
    .gpadlBody(GPADLBody(gpadl: GPADLID(1), words: GPADLWords())),
    .gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(1))),
    .socketConnectRequest(
      SocketConnectRequest(endpoint: GUID(low: 0, high: 0), service: GUID(low: 0, high: 0))),
  ]
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusGuest
import VMBusHost

/// Channels that the guest signals through the monitor page.
@Suite struct MonitorTests {
  private static let page: UInt64 = 0x1000_0000 >> 12

  private static func adapter(_ number: UInt64, isMonitored: Bool = true, subChannel: UInt16 = 0) -> OfferDescription {
    OfferDescription(
      classID: ScriptedGuest.network.classID, instanceID: GUID(low: number, high: 9), subChannelIndex: subChannel,
      isMonitored: isMonitored)
  }

  private static func offers(_ replies: [HostMessage]) -> [Offer] {
    replies.compactMap { if case .offer(let offer) = $0 { offer } else { nil } }
  }

  /// Bytes 188 and 189 of the offer: the monitor, and that there is one.
  @Test func theOfferNamesTheMonitor() throws {
    var guest = ScriptedGuest(memory: [0x1000..<0x8000, Self.page..<Self.page + 1])
    _ = try guest.server.offer(ScriptedGuest.heartbeat)
    _ = try guest.server.offer(Self.adapter(1))
    _ = try guest.server.offer(Self.adapter(2, isMonitored: false))
    guest.connect(.v5_3, monitorPage: Self.page << 12)
    guest.send(.requestOffers(RequestOffers()))
    // A sub-channel has one of its own.
    _ = try guest.server.offer(Self.adapter(1, subChannel: 1))
    let messages = guest.replies().filter { if case .offer = $0 { true } else { false } }
    #expect(Self.offers(messages).map(\.monitorAllocated) == [false, true, false, true])
    let bytes = messages.map { message in unsafe message.encoded.bytes.withUnsafeBytes { unsafe [UInt8]($0) } }
    #expect(bytes.map { Array($0[188..<192]) } == [[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [1, 1, 1, 0]])
    // Signalled it can be by hypercalls all the same.
    #expect(Self.offers(messages)[1].connection == ConnectionID(0x2002))
    guest.share(100, on: 2, pages: 8)
    guest.openChannel(2, ring: 100)
    guard case .openChannel(let opening) = guest.takeEffects().last else {
      Issue.record("not opened")
      return
    }
    #expect(opening.monitor == ChannelMonitor(page: Self.page, number: 0))
  }

  /// None, in the middle of a page, outside of memory: the guest is connected and uses hypercalls.
  @Test(arguments: [0, 0x100_0800, 0x7FFF_FFFF_F000, .max] as [UInt64])
  func withoutAPageThereAreNoMonitors(_ address: UInt64) throws {
    var guest = ScriptedGuest()
    _ = try guest.server.offer(Self.adapter(1))
    guest.connect(.v5_3, monitorPage: address)
    guest.send(.requestOffers(RequestOffers()))
    let offers = Self.offers(guest.replies())
    #expect(offers.count == 1 && offers.allSatisfy { !$0.monitorAllocated && $0.monitorID == 0 })
    guest.share(100, on: 1, pages: 8)
    guest.openChannel(1, ring: 100)
    guard case .openChannel(let opening) = guest.takeEffects().last else {
      Issue.record("not opened")
      return
    }
    #expect(opening.monitor == nil)
    // Another kernel, which has one.
    guest.connect(.v5_3, monitorPage: 0x100_0000)
    guest.send(.requestOffers(RequestOffers()))
    #expect(Self.offers(guest.replies()).map(\.monitorAllocated) == [true])
  }

  /// A monitor is one channel's until the guest has forgotten that; who comes too late has hypercalls.
  @Test func monitorsAreGivenOutOnce() throws {
    var guest = ScriptedGuest()
    for number in 0..<130 { _ = try guest.server.offer(Self.adapter(UInt64(number))) }
    guest.connect(.v5_3, monitorPage: 0x100_0000)
    guest.send(.requestOffers(RequestOffers()))
    let offers = Self.offers(guest.replies())
    #expect(offers.prefix(128).map(\.monitorID) == Array(0..<128))
    #expect(offers.map(\.monitorAllocated) == [Bool](repeating: true, count: 128) + [false, false])
    try guest.rescind(70)
    _ = try guest.server.offer(Self.adapter(200))
    #expect(Self.offers(guest.replies()).map(\.monitorAllocated) == [false])
    guest.send(.channelReleased(ChannelReleased(channel: ChannelID(70))))
    _ = try guest.server.offer(Self.adapter(201))
    #expect(Self.offers(guest.replies()).map(\.monitorID) == [69])
  }

  /// Our guest half hears of it.
  @Test func theClientKnowsTheMonitor() throws {
    var guest = WiredGuest()
    _ = try guest.host.server.offer(ScriptedGuest.heartbeat)
    _ = try guest.host.server.offer(Self.adapter(1))
    try guest.connect()
    #expect(guest.client.channel(ChannelID(1))?.monitorID == nil)
    #expect(guest.client.channel(ChannelID(2))?.monitorID == 0)
  }
}

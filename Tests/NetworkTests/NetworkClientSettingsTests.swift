// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceClients
import ServiceProviders
import Testing
import VMBus

/// What a guest sets while its adapter works.
@Suite struct NetworkClientSettingsTests {
  private static let other = EthernetAddress(rawValue: 0x02AB_CDEF_0189)

  private func connected(changes: Bool = false, subChannels: UInt16 = 0) -> NetworkPair {
    let pair = NetworkPair(configuration(subChannels: subChannels, changes: changes), subChannels: subChannels)
    #expect(pair.connect())
    _ = pair.guest.takeEvents()
    return pair
  }

  private func settle(_ pair: NetworkPair) -> [NetworkClient.Event] {
    pair.guest.pump()
    pair.settle()
    #expect(pair.guest.problem == nil)
    return pair.guest.takeEvents()
  }

  @Test func anAddressIsTaken() throws {
    let pair = connected(changes: true)
    try pair.guest.client.setAddress(Self.other)
    #expect(settle(pair) == [.addressSet(true)])
    #expect(pair.guest.client.address == Self.other && pair.host.provider.settings.address == Self.other)
  }

  @Test func anAddressIsRefused() throws {
    let pair = connected()
    try pair.guest.client.setAddress(Self.other)
    #expect(settle(pair) == [.addressSet(false)])
    #expect(pair.guest.client.address == NetworkPair.address && pair.guest.client.state == .ready)
    for value: UInt64 in [0, 0x0100_0000_0000, 0xFFFF_FFFF_FFFF] {
      #expect(throws: NetworkClientFault.malformed) {
        try pair.guest.client.setAddress(EthernetAddress(rawValue: value))
      }
    }
  }

  @Test func theTableIsTheShells() throws {
    let pair = connected(subChannels: 3)
    let table = (0..<128).map { UInt32($0 % 2 == 0 ? 3 : 1) }
    let keyBytes = [UInt8](repeating: 0x6D, count: 40)
    let key = try ToeplitzKey(decoding: unsafe keyBytes.span.bytes)
    try pair.guest.client.setScaling(table: unsafe table.span.bytes, key: key)
    #expect(settle(pair) == [.scalingSet])
    let scaling = try #require(pair.host.settings?.scaling)
    #expect((0..<128).allSatisfy { UInt32(scaling.table[$0]) == table[$0] })
    #expect(scaling.key.hash(0xFFFF_FFFF, at: 3) == key.hash(0xFFFF_FFFF, at: 3))
    // A channel that there is not, and a table that ends early: nothing is asked of the host.
    for bad in [table.map { $0 + 1 }, Array(table.dropLast())] {
      #expect(throws: NetworkClientFault.malformed) {
        try pair.guest.client.setScaling(table: unsafe bad.span.bytes, key: key)
      }
    }
    #expect(settle(pair).isEmpty)
  }

  @Test func coalescingGoesOffAndOn() throws {
    let pair = connected()
    #expect(pair.host.settings?.acceptsCoalesced == true)
    for isOn in [false, true] {
      try pair.guest.client.setCoalescing(isOn)
      #expect(settle(pair) == [.offloadsSet])
      #expect(pair.host.settings?.acceptsCoalesced == isOn)
    }
  }

  /// All at once: one after the other, each with its answer.
  @Test func everythingAtOnce() throws {
    let pair = connected(changes: true, subChannels: 3)
    try pair.guest.client.setCoalescing(false)
    try pair.guest.client.setAddress(Self.other)
    try pair.guest.client.setFilter(.promiscuous)
    try pair.guest.client.channelsOpened()
    let events = settle(pair)
    #expect(events.count == 4 && Set(events) == [.offloadsSet, .addressSet(true), .filterSet, .scalingSet])
    #expect(pair.guest.client.faults == 0)
  }

  @Test func notBeforeItIsReady() {
    var client = NetworkClient(key: NetworkGuest.key)
    #expect(throws: NetworkClientFault.wrongState) { try client.setAddress(Self.other) }
    #expect(throws: NetworkClientFault.wrongState) { try client.setCoalescing(true) }
    #expect(throws: NetworkClientFault.wrongState) { try client.channelsOpened() }
    #expect(throws: NetworkClientFault.wrongState) { try client.setFilter(.directed) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Testing
import VMBus

@testable import ServiceProviders

@Suite struct ResetTests {
  private typealias Guest = ScriptedGuest
  static let resetID: UInt64 = 0xFFFF_FFFF_FFFF_FFFC

  /// Linux waits for the reset's answer, then for everything outstanding.
  @Test(arguments: [5, 6] as [UInt8]) func everythingEndsFirst(_ operation: UInt8) throws {
    var guest = ScriptedGuest()
    try guest.connect()
    var requests: [StorageRequest] = []
    for id in 1...10 as ClosedRange<UInt64> {
      requests.append(try #require(try guest.send(Guest.command(RequestTests.ready, unit: UInt8(id)), id: id)))
    }
    try guest.send(Guest.packet(operation), id: Self.resetID)
    #expect(guest.effects == [.reset(.controller, channels: [0])])
    #expect(guest.channel.beginReset(.controller) == requests.map(\.id))
    // One more, which the reset does not concern.
    let later = try #require(try guest.send(Guest.command(RequestTests.ready), id: 99))
    for (index, request) in requests.enumerated() {
      #expect(guest.channel.takeDrained() == false)
      guest.channel.complete(request.id, index == 3 ? .good() : .aborted)
    }
    #expect(guest.channel.takeDrained() == true)
    #expect(guest.channel.takeDrained() == false)
    guest.effects = []
    guest.provider.drained(0, effects: &guest.effects)
    guard case .answer(let channel, let id, let status) = try #require(guest.effects.first) else {
      Issue.record("no answer")
      return
    }
    #expect(channel == 0)
    guest.channel.answer(id, status)
    let answers = try guest.answers()
    #expect(answers.map(\.id) == Array(1...10) + [Self.resetID])
    #expect(answers[3].verdict == [1, 0] && answers[4].verdict == [2, 0])
    #expect(answers.last?.status == 0)
    guest.channel.complete(later.id, .good())
    #expect(try guest.answers().map(\.id) == [99])
  }

  @Test func unitResetConcernsTheUnit() throws {
    var guest = ScriptedGuest()
    try guest.connect()
    let one = try #require(try guest.send(Guest.command(RequestTests.ready, unit: 1), id: 1))
    _ = try guest.send(Guest.command(RequestTests.ready, unit: 2), id: 2)
    var packet = Guest.packet(4)
    packet[19] = 1
    try guest.send(packet, id: 3)
    #expect(guest.effects == [.reset(.unit(1), channels: [0])])
    #expect(guest.channel.beginReset(.unit(1)) == [one.id])
    guest.channel.complete(one.id, .aborted)
    #expect(guest.channel.takeDrained() == true)
  }

  /// One after the other; each is answered.
  @Test func manyResets() throws {
    var guest = ScriptedGuest()
    try guest.connect()
    for id in 1...20 as ClosedRange<UInt64> { try guest.send(Guest.packet(6), id: id) }
    #expect(guest.effects.count == 1)
    var rounds = 0
    while let effect = guest.effects.first {
      guest.effects.removeFirst()
      switch effect {
      case .reset(let scope, _):
        rounds += 1
        #expect(guest.channel.beginReset(scope) == [])
        #expect(guest.channel.takeDrained() == true)
        guest.provider.drained(0, effects: &guest.effects)
      case .answer(_, let id, let status): guest.channel.answer(id, status)
      default: Issue.record("\(effect)")
      }
    }
    #expect(rounds == 20)
    #expect(try guest.answers().map(\.id) == Array(1...20))
  }

  /// It waits for all channels; one that is closed has nothing left.
  @Test func severalChannels() throws {
    var guest = ScriptedGuest()
    try guest.connect()
    _ = try guest.ask(Guest.subChannels(2))
    guest.effects = []
    var second = guest.provider.channelOpened(1, effects: &guest.effects)
    _ = guest.provider.channelOpened(2, effects: &guest.effects)
    try guest.send(Guest.packet(6), id: 1)
    #expect(guest.effects == [.reset(.controller, channels: [0, 1, 2])])
    guest.effects = []
    guest.provider.drained(0, effects: &guest.effects)
    guest.provider.channelClosed(2, effects: &guest.effects)
    #expect(guest.effects.isEmpty)
    #expect(second.beginReset(.controller) == [])
    #expect(second.takeDrained() == true)
    guest.provider.drained(1, effects: &guest.effects)
    #expect(guest.effects.count == 1)
  }

  /// The channel that asked is gone and back: the answer finds nobody, and no other request gets it.
  @Test func channelClosedMeanwhile() throws {
    var guest = ScriptedGuest()
    try guest.connect()
    let before = try #require(try guest.send(Guest.command(RequestTests.ready), id: 1))
    try guest.send(Guest.packet(6), id: 2)
    let reset = StorageRequestID(rawValue: before.id.rawValue + 1)
    guest.effects = []
    guest.open(0)
    #expect(!guest.effects.contains { if case .answer = $0 { true } else { false } })
    try guest.connect()
    try guest.send(Guest.packet(6), id: 3)
    guest.channel.answer(reset, .success)
    guest.channel.answer(before.id, .success)
    #expect(try guest.answers().isEmpty)
    // Before the handshake there is nothing to wait for.
    guest.open(0)
    #expect(try guest.ask(Guest.packet(6), id: 4)?.status == 0)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

@Suite struct HeartbeatTests {
  var clock = TestClock()
  var provider = HeartbeatProvider()

  /// Linux's answer to a heartbeat.
  func answered(_ packet: Packet) -> Packet {
    var answer = packet.answer()
    answer.write(packet.read(UInt64.self, at: 28) &+ 1, at: 28)
    return answer
  }

  @Test mutating func beatsEveryTwoSecondsAndIsOK() {
    var beat = provider.becomeReady(clock).sent.first
    #expect(provider.status.state == .noContact)
    for round in 1...30 {
      guard let packet = beat else {
        Issue.record("no heartbeat in round \(round)")
        return
      }
      #expect(packet.read(UInt64.self, at: 28) == UInt64(round))
      provider.receive(answered(packet), clock)
      let events = provider.effects().events
      #expect(events == (round == 1 ? [.heartbeat(.ok)] : []))
      let before = clock.now.monotonic
      let effects = provider.run(&clock, seconds: 2)
      #expect(clock.now.monotonic - before == 2_000_000_000)
      #expect(effects.sent.count == 1)
      beat = effects.sent.first
    }
    #expect(provider.status.state == .ok)
    #expect(provider.status.answers == 30)
  }

  @Test mutating func lostInBoundedTimeAndOKAgain() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    provider.receive(answered(beat), clock)
    let lastAnswer = clock.now.hostTime
    _ = provider.effects()
    let effects = provider.run(&clock, seconds: 60)
    #expect(effects.events.contains(.heartbeat(.lost)))
    #expect(provider.status.state == .lost)
    #expect(provider.status.lastAnswer == lastAnswer)
    #expect(provider.status.since == lastAnswer + 20 * 10_000_000)
    #expect(effects.sent.count == 4, "a guest that does not answer gets a bounded number of packets")
    // The guest comes back and answers all that lies in its ring.
    for packet in effects.sent { provider.receive(answered(packet), clock) }
    #expect(provider.status.state == .ok)
    #expect(provider.run(&clock, seconds: 4).sent.count == 3, "one that was due, and one every two seconds")
  }

  @Test mutating func aGuestThatNeverAnsweredHasNoContact() {
    provider.becomeReady(clock)
    provider.run(&clock, seconds: 3600)
    #expect(provider.status.state == .noContact)
  }

  @Test mutating func aPauseIsNoLoss() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    provider.receive(answered(beat), clock)
    provider.partitionPaused(clock.now)
    #expect(provider.deadline == nil)
    clock.advance(seconds: 600, partitionRuns: false)
    provider.tick(clock.now)
    provider.partitionResumed(clock.now)
    let effects = provider.run(&clock, seconds: 10)
    #expect(provider.status.state == .ok)
    #expect(!effects.sent.isEmpty)
  }

  @Test mutating func closingTheChannelEndsTheContact() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    provider.receive(answered(beat), clock)
    _ = provider.effects()
    provider.channelClosed(clock.now)
    #expect(provider.effects().events == [.state(.closed), .heartbeat(.noContact)])
    #expect(provider.deadline == nil)
    // And everything begins again.
    let again = try #require(provider.becomeReady(clock).sent.first)
    provider.receive(answered(again), clock)
    #expect(provider.status.state == .ok)
  }

  @Test(arguments: [0, 1, 3, 100, UInt64.max] as [UInt64])
  mutating func sequenceBackwardsOrJumpingIsNoContact(sequence: UInt64) throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    var answer = beat.answer()
    answer.write(sequence, at: 28)
    provider.receive(answer, clock)
    #expect(provider.counters.faults == [.badSequence: 1])
    #expect(provider.status.state == .noContact)
    // The next heartbeat goes out all the same.
    let next = try #require(provider.run(&clock, seconds: 2).sent.first)
    provider.receive(answered(next), clock)
    #expect(provider.status.state == .ok)
  }

  @Test mutating func duplicateAnswersCountOnce() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    provider.receive(answered(beat), clock)
    provider.receive(answered(beat), clock)
    provider.receive(answered(beat), clock)
    #expect(provider.status.answers == 1)
    #expect(provider.counters.faults == [.unexpectedReply: 2])
    #expect(provider.effects().events.filter { $0 == .fault(.unexpectedReply) }.count == 1, "reported once")
  }

  @Test mutating func aGuestThatAnswersNonsenseForEverIsLost() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    provider.receive(answered(beat), clock)
    for _ in 0..<40 {
      for packet in provider.run(&clock, seconds: 1).sent { provider.receive(packet.answer(), clock) }
    }
    #expect(provider.status.state == .lost)
  }

  @Test(arguments: [ServiceVersion(3, 0), ServiceVersion(1, 0)])
  mutating func withOurClient(version: ServiceVersion) throws {
    let link = ServiceLink(
      .heartbeat, frameworks: ServiceVersionList(version), messages: ServiceVersionList(version))
    var client = HeartbeatClient(link: link)
    provider.channelOpened(clock.now)
    var packets = provider.effects().sent
    for _ in 0..<10 {
      for var packet in packets {
        try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
        provider.receive(packet, clock)
      }
      packets = provider.effects().sent
      packets += provider.run(&clock, seconds: 2).sent
    }
    #expect(provider.state == .ready(framework: version, message: version))
    #expect(provider.status.state == .ok)
    #expect(client.beats == provider.status.answers)
    #expect(client.link.faults == 0)
    #expect(provider.counters.faults.isEmpty)
  }
}

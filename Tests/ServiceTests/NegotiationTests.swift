// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

/// What all services share, shown with the heartbeat's provider where nothing else matters.
@Suite struct NegotiationTests {
  var clock = TestClock()
  var provider = HeartbeatProvider()

  static let combinations: [(ServiceVersion, ServiceVersion)] = [ServiceVersion(3, 0), ServiceVersion(1, 0)].flatMap {
    framework in [ServiceVersion(3, 0), ServiceVersion(1, 0)].map { (framework, $0) }
  }

  @Test(arguments: combinations)
  mutating func everyPairMayBeChosen(framework: ServiceVersion, message: ServiceVersion) throws {
    let beat = try #require(provider.becomeReady(clock, framework: framework, message: message).sent.first)
    #expect(provider.state == .ready(framework: framework, message: message))
    #expect(beat.header?.framework == framework)
    #expect(beat.header?.message == message)
  }

  @Test(arguments: [
    (ServiceVersion(2, 0), ServiceVersion(3, 0)), (ServiceVersion(3, 0), ServiceVersion(2, 0)),
    (ServiceVersion(0, 0), ServiceVersion(0, 0)), (ServiceVersion(0xFFFF, 0xFFFF), ServiceVersion(0xFFFF, 0xFFFF)),
  ])
  mutating func aVersionThatWasNotOfferedIsRefused(framework: ServiceVersion, message: ServiceVersion) throws {
    let effects = provider.becomeReady(clock, framework: framework, message: message)
    #expect(provider.state == .unsupported)
    #expect(effects.sent.isEmpty)
    #expect(effects.events == [.fault(.versionNotOffered), .state(.unsupported)])
    #expect(provider.deadline == nil)
  }

  @Test(arguments: [(0, 1), (1, 0), (2, 1), (100, 100), (65535, 65535)] as [(UInt16, UInt16)])
  mutating func countsThatMakeNoSense(frameworks: UInt16, messages: UInt16) throws {
    provider.channelOpened(clock.now)
    let negotiate = try #require(provider.effects().sent.first)
    var answer = negotiate.choosing(ServiceVersion(3, 0), ServiceVersion(3, 0))
    answer.write(frameworks, at: 28)
    answer.write(messages, at: 30)
    provider.receive(answer, clock)
    #expect(provider.counters.faults == [.badNegotiation: 1])
    #expect(provider.state == .unsupported)
  }

  @Test mutating func noVersionInCommon() throws {
    provider.channelOpened(clock.now)
    let negotiate = try #require(provider.effects().sent.first)
    provider.receive(negotiate.choosingNone(), clock)
    #expect(provider.state == .unsupported)
    #expect(provider.counters.faults.isEmpty)
  }

  @Test mutating func unansweredMeansWaitingForTheDaemon() throws {
    provider.channelOpened(clock.now)
    let effects = provider.effects()
    #expect(effects.events == [.state(.negotiating)])
    #expect(provider.run(&clock, seconds: 100_000).events == [.state(.waitingForDaemon)])
    let negotiate = try #require(effects.sent.first)
    provider.receive(negotiate.choosing(ServiceVersion(3, 0), ServiceVersion(3, 0)), clock)
    #expect(provider.state.isReady)
  }

  @Test mutating func everyReopenNegotiatesAnew() throws {
    for round in 1...20 {
      provider.becomeReady(clock, message: round % 2 == 0 ? ServiceVersion(3, 0) : ServiceVersion(1, 0))
      #expect(provider.state.isReady)
      if round % 3 == 0 { provider.channelClosed(clock.now) }
      _ = provider.effects()
    }
    #expect(provider.counters.opened == 20)
  }

  @Test mutating func replyToNothingAndReplyToTheNegotiationTwice() throws {
    provider.channelOpened(clock.now)
    let negotiate = try #require(provider.effects().sent.first)
    let answer = negotiate.choosing(ServiceVersion(3, 0), ServiceVersion(3, 0))
    provider.receive(answer, clock)
    provider.receive(answer, clock)
    #expect(provider.counters.faults == [.wrongTransaction: 1])
    #expect(provider.state.isReady)
  }

  @Test mutating func wrongTransactionIsDroppedAndTheRightOneStillCounts() throws {
    provider.channelOpened(clock.now)
    let negotiate = try #require(provider.effects().sent.first)
    let answer = negotiate.choosing(ServiceVersion(3, 0), ServiceVersion(3, 0))
    for transaction in 0...255 as ClosedRange<UInt8> where transaction != answer.read(UInt8.self, at: 24) {
      var wrong = answer
      wrong.write(transaction, at: 24)
      provider.receive(wrong, clock)
    }
    #expect(provider.counters.faults == [.wrongTransaction: 255])
    #expect(provider.effects().events == [.fault(.wrongTransaction)], "logged once")
    provider.receive(answer, clock)
    #expect(provider.state.isReady)
  }

  @Test mutating func aRequestFromTheGuestIsNoAnswer() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    provider.receive(beat, clock)
    #expect(provider.counters.faults == [.malformed: 1])
  }

  @Test mutating func messagesOfOtherServicesAreDropped() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    for type in [2, 3, 4, 5, 6, 7, 8, 0xFFFF] as [UInt16] {
      var answer = beat.answer()
      answer.write(type, at: 12)
      provider.receive(answer, clock)
    }
    #expect(provider.counters.faults == [.wrongType: 8])
  }

  @Test mutating func lengthsBeyondThePacketAndEveryCut() throws {
    let beat = try #require(provider.becomeReady(clock).sent.first)
    for count in 0..<beat.bytes.count {
      provider.receive(Array(beat.answer().bytes.prefix(count)), clock)
    }
    #expect(provider.counters.faults == [.truncated: UInt64(beat.bytes.count)])
    for (offset, value) in [(4, 0xFFFF_FFFF), (4, 61), (4, 19), (4, 0)] as [(Int, UInt32)] {
      var answer = beat.answer()
      answer.write(value, at: offset)
      provider.receive(answer, clock)
    }
    for value in [41, 0x7FFF, 0xFFFF] as [UInt16] {
      var answer = beat.answer()
      answer.write(value, at: 18)
      provider.receive(answer, clock)
    }
    let faults = provider.counters.faults
    #expect((faults[.truncated] ?? 0) + (faults[.malformed] ?? 0) == UInt64(beat.bytes.count) + 7)
    // And the service still lives.
    var good = beat.answer()
    good.write(beat.read(UInt64.self, at: 28) + 1, at: 28)
    provider.receive(good, clock)
    #expect(provider.status.state == .ok)
  }

  @Test mutating func eventsAreBounded() {
    for _ in 0..<10_000 {
      provider.channelOpened(clock.now)
      provider.channelClosed(clock.now)
    }
    let effects = provider.effects()
    #expect(effects.events.count == ServiceLimits.events)
    #expect(effects.sent.isEmpty)
    #expect(provider.counters.droppedEvents > 0)
  }

  @Test(arguments: IntegrationService.all)
  func ourClientAnswersEveryOfferOfVersions(service: IntegrationService) throws {
    var link = ServiceLink(service)
    // Any one of ours alone, in any position among strangers, is found.
    for index in 0..<service.messageVersions.count {
      let version = try #require(service.messageVersions.version(at: index))
      let offer = NegotiationMessage(
        frameworks: service.frameworkVersions,
        messages: ServiceVersionList(ServiceVersion(8, 0), version, ServiceVersion(9, 1)))
      var packet = Packet(bytes: negotiation(offer))
      try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in
        #expect(try link.receive(&bytes) == .negotiated)
      }
      #expect(link.message == version)
      #expect(packet.read(UInt16.self, at: 28) == 1)
      #expect(packet.read(UInt32.self, at: 20) == 0)
    }
    let strangers = NegotiationMessage(
      frameworks: service.frameworkVersions, messages: ServiceVersionList(ServiceVersion(8, 0)))
    var packet = Packet(bytes: negotiation(strangers))
    try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try link.receive(&bytes) }
    #expect(link.message == nil)
    #expect(packet.read(UInt32.self, at: 28) == 0)
  }

  private func negotiation(_ offer: NegotiationMessage) -> [UInt8] {
    let header = IntegrationHeader(
      framework: ServiceVersion(1, 0), type: .negotiate, message: ServiceVersion(1, 0),
      bodySize: UInt16(offer.bodySize), status: .ok, transaction: 9, flags: .transaction.union(.request))
    var packet = Packet(bytes: [UInt8](repeating: 0, count: 28 + offer.bodySize))
    do {
      try packet.change { (bytes: inout MutableRawSpan) throws(WireError) in try header.encode(into: &bytes) }
      var body = Packet(bytes: [UInt8](repeating: 0, count: offer.bodySize))
      try body.change { (bytes: inout MutableRawSpan) throws(WireError) in try offer.encode(into: &bytes) }
      packet.bytes.replaceSubrange(28..., with: body.bytes)
    } catch {
      Issue.record(error)
    }
    return packet.bytes
  }
}

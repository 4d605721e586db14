// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

@Suite struct ShutdownTests {
  var clock = TestClock()
  var provider = ShutdownProvider()

  @Test(
    arguments: [
      (ShutdownRequest(.powerOff), 0), (ShutdownRequest(.powerOff, force: true), 1), (ShutdownRequest(.restart), 2),
      (ShutdownRequest(.restart, force: true), 3), (ShutdownRequest(.hibernate), 4),
      (ShutdownRequest(.hibernate, force: true), 5),
    ] as [(ShutdownRequest, UInt32)])
  mutating func flags(request: ShutdownRequest, flags: UInt32) throws {
    provider.becomeReady(clock)
    provider.request(request, id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    #expect(packet.bytes.count == 2088, "Linux ignores a shorter request")
    #expect(packet.read(UInt32.self, at: 36) == flags)
    #expect(packet.read(UInt32.self, at: 28) == 0x8000_0000)
    provider.receive(packet.answer(), clock)
    #expect(provider.effects().completions == [.ok(1, .shutdownAccepted)])
    #expect(provider.isUnderWay)
  }

  @Test mutating func messageIsCutBeforeItsTerminator() throws {
    provider.becomeReady(clock)
    provider.request(ShutdownRequest(.powerOff, message: String(repeating: "é", count: 5000)), id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    #expect(packet.bytes.count == 2088)
    #expect(packet.read(UInt16.self, at: 2084) == 0xE9)
    #expect(packet.read(UInt16.self, at: 2086) == 0)
  }

  @Test mutating func refusedPolitelyWhenItCannotBeAsked() {
    provider.request(ShutdownRequest(.powerOff), id: 1, clock.now)
    #expect(provider.effects().completions == [.failed(1, .unavailable(.closed))])
    provider.channelOpened(clock.now)
    provider.request(ShutdownRequest(.powerOff), id: 2, clock.now)
    #expect(provider.effects().completions == [.failed(2, .unavailable(.negotiating))])
    provider.run(&clock, seconds: 6)
    provider.request(ShutdownRequest(.powerOff), id: 3, clock.now)
    #expect(provider.effects().completions == [.failed(3, .unavailable(.waitingForDaemon))])
  }

  @Test mutating func notAnsweringWithinTheDeadlineAndLateReply() throws {
    provider.becomeReady(clock)
    provider.request(ShutdownRequest(.powerOff), id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    #expect(provider.run(&clock, seconds: 30).completions == [.failed(1, .notAnswering(afterMilliseconds: 20_000))])
    // While the guest still owes that answer, another request is refused at once.
    provider.request(ShutdownRequest(.restart), id: 2, clock.now)
    #expect(provider.effects().completions == [.failed(2, .notAnswering(afterMilliseconds: 30_000))])
    provider.receive(packet.answer(), clock)
    let effects = provider.effects()
    #expect(effects.completions.isEmpty)
    #expect(effects.events == [.lateReply])
    #expect(provider.counters.late == 1)
    #expect(provider.isUnderWay, "late, but the guest is going down")
    provider.request(ShutdownRequest(.restart), id: 3, clock.now)
    #expect(provider.effects().sent.count == 1)
  }

  @Test mutating func refusedByTheGuest() throws {
    provider.becomeReady(clock)
    provider.request(ShutdownRequest(.hibernate), id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    provider.receive(packet.answer(.failure), clock)
    #expect(provider.effects().completions == [.failed(1, .refused(.failure))])
    #expect(!provider.isUnderWay)
  }

  @Test mutating func acceptedButNotExecutedIsReportedOnce() throws {
    provider.becomeReady(clock)
    provider.request(ShutdownRequest(.powerOff, timeoutSeconds: 60), id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    provider.receive(packet.answer(), clock)
    #expect(provider.run(&clock, seconds: 59).events.isEmpty)
    #expect(provider.run(&clock, seconds: 600).events == [.shutdownOverdue])
  }

  @Test mutating func repliesAfterPowerOffAreNothing() throws {
    provider.becomeReady(clock)
    provider.request(ShutdownRequest(.powerOff), id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    provider.receive(packet.answer(), clock)
    provider.channelClosed(clock.now)
    _ = provider.effects()
    #expect(!provider.isUnderWay)
    provider.receive(packet.answer(), clock)
    #expect(provider.counters.faults == [.unexpectedReply: 1])
    #expect(provider.effects().completions.isEmpty)
  }

  @Test mutating func closingEndsTheRequest() {
    provider.becomeReady(clock)
    provider.request(ShutdownRequest(.powerOff), id: 1, clock.now)
    provider.request(ShutdownRequest(.powerOff), id: 2, clock.now)
    #expect(provider.effects().completions == [.failed(2, .queueFull)])
    provider.channelClosed(clock.now)
    #expect(provider.effects().completions == [.failed(1, .channelClosed)])
  }

  @Test(arguments: [ServiceVersion(3, 2), ServiceVersion(3, 1), ServiceVersion(3, 0), ServiceVersion(1, 0)])
  mutating func withOurClient(version: ServiceVersion) throws {
    var client = ShutdownClient(
      link: ServiceLink(
        .shutdown, frameworks: ServiceVersionList(ServiceVersion(1, 0)), messages: ServiceVersionList(version)))
    /// Lets the guest answer everything that was sent.
    func exchange(_ provider: inout ShutdownProvider) throws -> Effects {
      var all = Effects()
      while true {
        let effects = provider.effects()
        all.all += effects.all
        guard !effects.sent.isEmpty else { return all }
        for var packet in effects.sent {
          try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
          provider.receive(packet, clock)
        }
      }
    }
    provider.channelOpened(clock.now)
    _ = try exchange(&provider)
    #expect(provider.state == .ready(framework: ServiceVersion(1, 0), message: version))
    provider.request(ShutdownRequest(.hibernate), id: 1, clock.now)
    #expect(try exchange(&provider).completions == [.failed(1, .refused(.failure))])
    #expect(client.takeAction() == nil)
    for id in 2...100 {
      provider.request(ShutdownRequest(.restart, force: true), id: ServiceRequestID(rawValue: UInt64(id)), clock.now)
      #expect(try exchange(&provider).completions == [.ok(UInt64(id), .shutdownAccepted)])
    }
    #expect(client.takeAction() == .restart)
    #expect(client.takeAction() == nil, "asked a hundred times, done once")
  }
}

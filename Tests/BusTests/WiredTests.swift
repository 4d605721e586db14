// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusGuest
import VMBusHost

/// Our two ends against each other in memory, at every pair of versions.
@Suite struct WiredTests {
  static let versions = ContactTests.versions

  @Test(arguments: versions, versions)
  func theEndsMeetAtTheOlderOfTheirVersions(_ cap: ProtocolVersion, _ newest: ProtocolVersion) throws {
    var wired = WiredGuest(cap: cap, newest: newest)
    try wired.client.connect(to: &wired.host)
    wired.run()
    let common = min(cap, newest)
    #expect(wired.client.state == .connected(common))
    #expect(wired.host.server.version == common)
    #expect(wired.client.connection == (common.usesMessageConnection ? .messages : .legacyMessages))
    #expect(wired.takeEvents() == [.connected(common)])
  }

  /// A whole life at each version: offers, memory of several messages, open, modify, close, teardown, unload, again.
  @Test(arguments: versions) func aLife(_ version: ProtocolVersion) throws {
    var wired = WiredGuest(cap: version)
    let id = try wired.host.server.offer(ScriptedGuest.heartbeat)
    for _ in 0..<3 {
      try wired.connect()
      guard case .offered(let offer) = wired.takeEvents().dropFirst().first else {
        Issue.record("no offer")
        return
      }
      #expect(offer.classID == ScriptedGuest.heartbeat.classID && offer.channel == id)
      let ring = try wired.client.createGPADL(on: id, ConsecutiveFrames(first: 0x1000, count: 8), &wired.host)
      let buffer = try wired.client.createGPADL(on: id, ConsecutiveFrames(first: 0x2000, count: 4096), &wired.host)
      wired.run()
      #expect(wired.takeEvents() == [.gpadlCreated(ring, id, .success), .gpadlCreated(buffer, id, .success)])
      #expect(wired.host.server.gpadl(buffer, on: id)?.ranges.first?.frames == Array(0x2000..<0x3000))
      try wired.client.open(id, ring: ring, hostToGuestPageOffset: 4, targetVP: VPIndex(3), &wired.host)
      wired.run()
      #expect(wired.takeEvents() == [.opened(id, .success)])
      #expect(wired.host.server.channels.first?.targetVP == VPIndex(3))
      if version.hasModifyChannel {
        try wired.client.modify(id, targetVP: VPIndex(1), &wired.host)
        wired.run()
        #expect(wired.takeEvents() == (version.hasModifyChannelResponse ? [.modified(id, .success)] : []))
        #expect(wired.host.server.channels.first?.targetVP == VPIndex(1))
      } else {
        #expect(throws: BusClientError.notInVersion) {
          try wired.client.modify(id, targetVP: VPIndex(1), &wired.host)
        }
      }
      try wired.client.close(id, &wired.host)
      try wired.client.tearDown(ring, &wired.host)
      try wired.client.tearDown(buffer, &wired.host)
      wired.run()
      #expect(wired.takeEvents() == [.gpadlTornDown(ring, id), .gpadlTornDown(buffer, id)])
      try wired.client.unload(&wired.host)
      wired.run()
      #expect(wired.takeEvents() == [.unloaded])
      #expect(wired.host.server.version == nil && wired.client.state == .disconnected)
    }
    #expect(
      BusRefusal.allCases.allSatisfy {
        wired.host.server.count(of: $0) == 0 || $0 == .unsupportedVersion || $0 == .wrongConnection
      })
  }

  @Test func aRescindWithEverythingOpen() throws {
    var wired = WiredGuest()
    let ring = try wired.openFirst()
    let id = ChannelID(1)
    try wired.host.server.rescind(id, effects: &wired.host.effects)
    let successor = try wired.host.server.offer(ScriptedGuest.heartbeat)
    wired.run()
    #expect(wired.takeEvents() == [.rescinded(id)])
    #expect(throws: BusClientError.wrongChannelState) { try wired.client.release(id, &wired.host) }
    try wired.client.close(id, &wired.host)
    #expect(throws: BusClientError.gpadlsLeft) { try wired.client.release(id, &wired.host) }
    try wired.client.tearDown(ring, &wired.host)
    wired.run()
    #expect(wired.takeEvents() == [.gpadlTornDown(ring, id)])
    try wired.client.release(id, &wired.host)
    wired.run()
    guard case .offered(let offer) = wired.takeEvents().first else {
      Issue.record("the successor is not offered")
      return
    }
    #expect(offer.channel == successor && wired.client.channel(id) == nil)
  }

  /// 7936 pages are 31 MiB; 8190 all that fits; no more.
  @Test func theLargestMemory() throws {
    var wired = WiredGuest()
    _ = try wired.openFirst()
    for count in [7936, BusClient.maximumPages] {
      let id = try wired.client.createGPADL(
        on: ChannelID(1), ConsecutiveFrames(first: 0x1000, count: count), &wired.host)
      wired.run()
      #expect(wired.takeEvents() == [.gpadlCreated(id, ChannelID(1), .success)])
      #expect(wired.host.server.gpadl(id, on: ChannelID(1))?.ranges.first?.frames.count == count)
    }
    for count in [0, -1, 8191] {
      #expect(throws: BusClientError.unusablePageCount) {
        _ = try wired.client.createGPADL(
          on: ChannelID(1), ConsecutiveFrames(first: 0x1000, count: count), &wired.host)
      }
    }
  }

  /// The hypercall fails in the middle of the bodies: the host's half of the memory is torn down again.
  @Test func aGPADLThatFailsHalfWayIsTakenBack() throws {
    var wired = WiredGuest()
    _ = try wired.openFirst()
    struct Frames: PageFrameList {
      let count = 200
      func frame(at index: Int) -> UInt64 { 0x1000 + UInt64(index) }
    }
    wired.host.forcedStatus = .insufficientMemory
    #expect(throws: BusClientError.post(.insufficientMemory)) {
      _ = try wired.client.createGPADL(on: ChannelID(1), Frames(), &wired.host)
    }
    wired.host.forcedStatus = nil
    let id = try wired.client.createGPADL(on: ChannelID(1), Frames(), &wired.host)
    wired.run()
    #expect(wired.takeEvents() == [.gpadlCreated(id, ChannelID(1), .success)])
  }
}

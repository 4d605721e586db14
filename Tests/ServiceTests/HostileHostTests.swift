// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

/// What a hostile host may send to our guest's machines.
@Suite struct HostileHostTests {
  let clock = TestClock()

  /// A packet of the provider to begin with.
  private func packet<P: IntegrationServiceProvider>(
    of provider: P, _ request: (inout P) -> Void, negotiate: (inout MutableRawSpan) throws(ClientFault) -> Void
  ) throws -> Packet {
    var provider = provider
    provider.channelOpened(clock.now)
    var negotiation = try #require(provider.effects().sent.first)
    try negotiation.change(negotiate)
    provider.receive(negotiation, clock)
    request(&provider)
    return try #require(provider.effects().sent.last)
  }

  @Test func keyValueSizesAboveTheLimitsOddSizesAndUnknownTypes() throws {
    var client = KeyValuePairClient()
    let set = try packet(of: KeyValueProvider()) {
      $0.set(KeyValueItem(key: "key", value: .string("value")), in: .external, id: 1, clock.now)
    } negotiate: { (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes)
    }
    let cases: [(Int, UInt32)] = [
      (36, 513), (36, 514), (36, 7), (36, .max), (40, 2049), (40, 2050), (40, 3), (40, .max), (32, 0), (32, 2),
      (32, 4), (32, .max),
    ]
    for (offset, value) in cases {
      var hostile = set
      hostile.write(value, at: offset)
      var answer = ClientAnswer.later
      try hostile.change { (bytes: inout MutableRawSpan) throws(ClientFault) in answer = try client.receive(&bytes) }
      #expect(answer == .send, "field \(offset) = \(value)")
      #expect(hostile.read(UInt32.self, at: 20) == IntegrationStatus.invalidArgument.rawValue)
    }
    #expect(client.link.faults == UInt64(cases.count))
    #expect(client.request == nil)
  }

  @Test func keyValueOperationsNobodyKnowsAndEveryCut() throws {
    var client = KeyValuePairClient()
    let set = try packet(of: KeyValueProvider()) {
      $0.set(KeyValueItem(key: "key", value: .string("value")), in: .external, id: 1, clock.now)
    } negotiate: { (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes)
    }
    for operation in 6...255 as ClosedRange<UInt8> {
      var hostile = set
      hostile.write(operation, at: 28)
      try hostile.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
      #expect(hostile.read(UInt32.self, at: 20) == IntegrationStatus.invalidArgument.rawValue)
    }
    for count in 0..<set.bytes.count {
      var short = Packet(bytes: Array(set.bytes.prefix(count)))
      #expect(throws: ClientFault.truncated, "\(count) bytes") {
        try short.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
      }
    }
    // Bodies that are shorter than their operation.
    for size in [0, 1, 3, 4, 100, 2575] as [UInt16] {
      var short = set
      short.write(size, at: 18)
      try short.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
      #expect(short.read(UInt32.self, at: 20) == IntegrationStatus.invalidArgument.rawValue)
    }
  }

  @Test func keyValueTextWithoutTerminator() throws {
    var client = KeyValuePairClient()
    var set = try packet(of: KeyValueProvider()) {
      $0.set(KeyValueItem(key: "key", value: .string("value")), in: .external, id: 1, clock.now)
    } negotiate: { (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes)
    }
    set.write(UInt32(512), at: 36)
    for index in 0..<256 { set.write(UInt16(0xDC00), at: 44 + 2 * index) }
    try set.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
    let request = try #require(client.request)
    var output = Packet(bytes: [UInt8](repeating: 0, count: 4096))
    var count = 0
    try output.change { (bytes: inout MutableRawSpan) throws(WireError) in
      count = try WireText.utf8(
        from: set.bytes.wire, at: request.keyOffset, byteCount: request.keySize, into: &bytes)
    }
    #expect(String(decoding: output.bytes.prefix(count), as: UTF8.self) == String(repeating: "\u{FFFD}", count: 256))
  }

  @Test func aSecondRequestWhileOneIsWorkedOnAndAnswersToNothing() throws {
    var client = VolumeSnapshotClient()
    let check = try packet(of: VolumeSnapshotProvider()) {
      $0.check(id: 1, clock.now)
    } negotiate: {
      (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes)
    }
    var first = check
    var second = check
    try first.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
    #expect(throws: ClientFault.busy) {
      try second.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
    }
    try first.change { (bytes: inout MutableRawSpan) throws(ClientFault) in try client.answer(.ok, in: &bytes) }
    #expect(throws: ClientFault.notOutstanding) {
      try first.change { (bytes: inout MutableRawSpan) throws(ClientFault) in try client.answer(.ok, in: &bytes) }
    }
    for operation in 7...255 as ClosedRange<UInt8> {
      var unknown = check
      unknown.write(operation, at: 28)
      try unknown.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
      #expect(unknown.read(UInt32.self, at: 20) == IntegrationStatus.notSupported.rawValue)
    }
  }

  @Test func requestsBeforeTheNegotiationAndOfOtherServices() throws {
    var client = HeartbeatClient()
    var beat = try packet(of: HeartbeatProvider()) { _ in
    } negotiate: {
      (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes)
    }
    client.channelOpened()
    #expect(throws: ClientFault.notNegotiated) {
      try beat.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
    }
    beat.write(UInt16(7), at: 12)
    try beat.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
    #expect(beat.read(UInt32.self, at: 20) == IntegrationStatus.failure.rawValue, "answered, so that nobody waits")
    #expect(client.beats == 0)
  }

  @Test func aThousandSamplesInOneSecond() throws {
    var client = TimeSynchronizationClient()
    var time = try packet(of: TimeSynchronizationProvider()) { _ in
    } negotiate: {
      (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes, referenceTime: 0)
    }
    time.write(UInt8(2), at: 44)
    for step in 0..<1000 as Range<UInt64> {
      var sample = time
      sample.write(UInt64(50_000_000) + step * 10_000, at: 36)
      try sample.change { (bytes: inout MutableRawSpan) throws(ClientFault) in
        _ = try client.receive(&bytes, referenceTime: 60_000_000)
      }
    }
    #expect(client.takeSetting(referenceTime: 60_000_000) == nil, "samples set nothing")
    #expect(client.sample?.referenceTime == 59_990_000)
  }

  @Test func aHundredShutdowns() throws {
    var client = ShutdownClient()
    let request = try packet(of: ShutdownProvider()) {
      $0.request(ShutdownRequest(.powerOff), id: 1, clock.now)
    } negotiate: { (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes)
    }
    var actions: [ShutdownFlags] = []
    for _ in 0..<100 {
      var again = request
      try again.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
      #expect(again.read(UInt32.self, at: 20) == IntegrationStatus.ok.rawValue)
      if let action = client.takeAction() { actions.append(action) }
    }
    #expect(actions == [.powerOff], "once")
    for flags in [6, 7, 8, 0x8000_0000, UInt32.max] {
      var unknown = request
      unknown.write(flags, at: 36)
      try unknown.change { (bytes: inout MutableRawSpan) throws(ClientFault) in _ = try client.receive(&bytes) }
      #expect(unknown.read(UInt32.self, at: 20) == IntegrationStatus.failure.rawValue)
    }
  }

  @Test func aTimeThatIsTooOldIsStale() throws {
    var client = TimeSynchronizationClient()
    #expect(client.isStale(at: 0), "without a sample")
    var time = try packet(of: TimeSynchronizationProvider()) { _ in
    } negotiate: {
      (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes, referenceTime: 0)
    }
    time.write(UInt64(50_000_000), at: 36)
    try time.change { (bytes: inout MutableRawSpan) throws(ClientFault) in
      _ = try client.receive(&bytes, referenceTime: 60_000_000)
    }
    #expect(!client.isStale(at: 60_000_000) && !client.isStale(at: 0) && !client.isStale(at: 6_050_000_000))
    #expect(client.isStale(at: 6_050_000_001) && client.isStale(at: .max))
  }
}

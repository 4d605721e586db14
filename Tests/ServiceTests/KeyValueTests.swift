// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

@Suite struct KeyValueTests {
  var clock = TestClock()
  var provider = KeyValueProvider()
  var guest = KeyValueGuest()

  /// Lets the guest work and keep what it did.
  mutating func run() -> Effects {
    var guest = self.guest
    let effects = provider.exchange(clock) { guest.answer($0) }
    self.guest = guest
    return effects
  }

  mutating func ready(_ items: [KeyValueItem] = []) {
    provider = KeyValueProvider(hostItems: items)
    provider.channelOpened(clock.now)
    _ = run()
  }

  @Test(arguments: [ServiceVersion(4, 0), ServiceVersion(3, 0), ServiceVersion(1, 0)])
  mutating func setGetModifyDelete(version: ServiceVersion) {
    guest = KeyValueGuest(message: version)
    ready()
    #expect(provider.state == .ready(framework: ServiceVersion(3, 0), message: version))
    provider.set(KeyValueItem(key: "a", value: .string("1")), in: .external, id: 1, clock.now)
    provider.get("a", in: .external, id: 2, clock.now)
    provider.set(KeyValueItem(key: "a", value: .string("2")), in: .external, mode: .modify, id: 3, clock.now)
    provider.get("a", in: .external, id: 4, clock.now)
    provider.set(KeyValueItem(key: "a", value: .string("3")), in: .external, mode: .add, id: 5, clock.now)
    provider.set(KeyValueItem(key: "b", value: .string("4")), in: .external, mode: .add, id: 6, clock.now)
    provider.set(KeyValueItem(key: "c", value: .string("5")), in: .external, mode: .modify, id: 7, clock.now)
    provider.delete("a", in: .external, id: 8, clock.now)
    provider.delete("a", in: .external, id: 9, clock.now)
    provider.get("a", in: .external, id: 10, clock.now)
    provider.enumerate(.external, id: 11, clock.now)
    #expect(
      run().completions == [
        .ok(1), .ok(2, .item(KeyValueItem(key: "a", value: .string("1")))), .ok(3),
        .ok(4, .item(KeyValueItem(key: "a", value: .string("2")))), .failed(5, .keyExists), .ok(6),
        .failed(7, .noSuchKey), .ok(8), .failed(9, .noSuchKey), .failed(10, .noSuchKey),
        .ok(11, .items([KeyValueItem(key: "b", value: .string("4"))])),
      ])
    #expect(provider.counters.faults.isEmpty)
  }

  @Test mutating func twoHundredAndFiftyItems() {
    guest.pools[1] = (0..<250).map { ("key\($0)", String(repeating: "v", count: $0)) }
    ready()
    provider.enumerate(.guest, id: 1, clock.now)
    guard case .success(.items(let items)) = run().completions.first?.result else {
      Issue.record("no items")
      return
    }
    #expect(items.count == 250)
    #expect(items.last == KeyValueItem(key: "key249", value: .string(String(repeating: "v", count: 249))))
  }

  @Test(arguments: ["ключ", "鍵", "🔑", "naïve key", "../x", "$(reboot)", "line\nbreak", "\u{FFFD}"])
  mutating func keysOfAllKinds(key: String) {
    ready()
    let item = KeyValueItem(key: key, value: .string("wert-" + key))
    provider.set(item, in: .external, id: 1, clock.now)
    provider.get(key, in: .external, id: 2, clock.now)
    provider.delete(key, in: .external, id: 3, clock.now)
    #expect(run().completions == [.ok(1), .ok(2, .item(item)), .ok(3)])
  }

  @Test mutating func aValueOf2047Bytes() {
    ready()
    // 682 characters of three bytes and one of one: 2047 bytes of UTF-8, 683 units of UTF-16.
    let item = KeyValueItem(key: "long", value: .string(String(repeating: "€", count: 682) + "x"))
    #expect(item.value.text.utf8.count == 2047)
    provider.set(item, in: .external, id: 1, clock.now)
    provider.get("long", in: .external, id: 2, clock.now)
    #expect(run().completions == [.ok(1), .ok(2, .item(item))])
  }

  @Test mutating func whatTheGuestWouldCutIsRefused() {
    ready()
    let tooLong = [
      KeyValueItem(key: String(repeating: "k", count: 255), value: .string("")),
      KeyValueItem(key: String(repeating: "€", count: 171), value: .string("")),
      KeyValueItem(key: "", value: .string("")),
      KeyValueItem(key: "a\0b", value: .string("")),
      KeyValueItem(key: "a", value: .string(String(repeating: "v", count: 1024))),
      KeyValueItem(key: "a", value: .string(String(repeating: "€", count: 683))),
      KeyValueItem(key: "a", value: .string("\0")),
    ]
    for item in tooLong {
      provider.set(item, in: .external, id: 1, clock.now)
      let effects = run()
      #expect(effects.sent.isEmpty)
      guard case .failure(.invalidRequest) = effects.completions.first?.result else {
        Issue.record("\(item.key.prefix(10)) was taken")
        continue
      }
    }
    // The longest that are taken.
    let key = String(repeating: "k", count: 254)
    let item = KeyValueItem(key: key, value: .string(String(repeating: "v", count: 1023)))
    provider.set(item, in: .external, id: 2, clock.now)
    provider.get(key, in: .external, id: 3, clock.now)
    #expect(run().completions == [.ok(2), .ok(3, .item(item))])
  }

  @Test(arguments: [KeyValuePool.automatic, KeyValuePool(rawValue: 5), KeyValuePool(rawValue: 255)])
  mutating func poolsThatCannotBeWritten(pool: KeyValuePool) {
    ready()
    provider.set(KeyValueItem(key: "a", value: .string("b")), in: pool, id: 1, clock.now)
    provider.delete("a", in: pool, id: 2, clock.now)
    let failure = Completion.failed(1, .invalidRequest("pool \(pool.rawValue) cannot be written"))
    #expect(run().completions.map(\.result) == [failure.result, failure.result])
  }

  @Test mutating func integersBecomeText() {
    ready()
    provider.set(KeyValueItem(key: "n", value: .unsigned32(.max)), in: .external, id: 1, clock.now)
    provider.set(KeyValueItem(key: "m", value: .unsigned64(.max)), in: .external, id: 2, clock.now)
    provider.enumerate(.external, id: 3, clock.now)
    #expect(
      run().completions.last
        == .ok(
          3,
          .items([
            KeyValueItem(key: "n", value: .string("4294967295")),
            KeyValueItem(key: "m", value: .string("18446744073709551615")),
          ])))
  }

  @Test mutating func hostItemsComeToPool3AfterEveryNegotiation() {
    let identity = HostIdentity(
      hostName: "host", qualifiedHostName: "host.example", machineName: "debian",
      machineID: GUID(0x1234_5678, 0x9abc, 0xdef0, 0x1234, 0x5678_9abc_def0))
    ready(identity.items)
    #expect(guest.pools[3]?.map(\.key) == identity.items.map(\.key))
    #expect(guest.pools[3]?.first { $0.key == "VirtualMachineId" }?.value == "12345678-9ABC-DEF0-1234-56789ABCDEF0")
    #expect(guest.pools[3]?.first { $0.key == "PhysicalHostNameFullyQualified" }?.value == "host.example")
    guest.pools[3] = []
    provider.channelOpened(clock.now)
    _ = run()
    #expect(guest.pools[3]?.count == identity.items.count)
    provider.setHostItems([KeyValueItem(key: "VirtualMachineName", value: .string("new"))], clock.now)
    _ = run()
    #expect(guest.pools[3]?.first { $0.key == "VirtualMachineName" }?.value == "new")
  }

  @Test mutating func addressesOfAnAdapter() {
    let configuration = AdapterConfiguration(
      families: [.ipv4, .ipv6], dhcp: true, addresses: ["10.0.0.2", "fd00::2"], masks: ["255.0.0.0", "/64"],
      gateways: ["10.0.0.1"], nameServers: ["9.9.9.9", "1.1.1.1"])
    guest.adapters["00:15:5D:01:02:03"] = configuration
    guest.adapters["{f8615163-df3e-46c5-913f-f2d2f965ed0e}"] = configuration
    ready()
    provider.adapterConfiguration(macAddress: "00:15:5d:01:02:03", id: 1, clock.now)
    provider.adapterConfiguration(macAddress: "00:00:00:00:00:00", id: 2, clock.now)
    let adapter = GUID(0xf861_5163, 0xdf3e, 0x46c5, 0x913f, 0xf2d2_f965_ed0e)
    provider.setAdapterConfiguration(configuration, adapter: adapter, id: 3, clock.now)
    provider.setAdapterConfiguration(configuration, adapter: GUID(low: 1, high: 2), id: 4, clock.now)
    #expect(
      run().completions == [
        .ok(1, .adapterConfiguration(configuration)), .failed(2, .adapterNotFound), .ok(3),
        .failed(4, .adapterNotFound),
      ])
    #expect(
      guest.configured["{f8615163-df3e-46c5-913f-f2d2f965ed0e}"]
        == ["10.0.0.2;fd00::2", "255.0.0.0;/64", "10.0.0.1", "9.9.9.9;1.1.1.1"])
  }

  @Test mutating func addressesNeedVersion4() {
    guest = KeyValueGuest(message: ServiceVersion(3, 0))
    ready()
    provider.adapterConfiguration(macAddress: "00:15:5D:01:02:03", id: 1, clock.now)
    #expect(run().completions == [.failed(1, .unsupportedByVersion)])
  }

  @Test(arguments: ["1.2.3.4;reboot", "$(id)", "", "1.2.3.4\n", "a b"])
  mutating func addressesThatAreNoneAreRefused(text: String) {
    ready()
    let configuration = AdapterConfiguration(addresses: [text])
    provider.setAdapterConfiguration(configuration, adapter: GUID(low: 1, high: 2), id: 1, clock.now)
    #expect(run().completions == [.failed(1, .invalidRequest("\"\(text)\" is not an address or a mask"))])
  }

  // MARK: Guests that do not answer, or answer nonsense

  @Test mutating func notAnsweringThenLateReplyThenWellAgain() throws {
    ready()
    provider.get("a", in: .guest, id: 1, clock.now)
    provider.get("b", in: .guest, id: 2, clock.now)
    let packet = try #require(provider.effects().sent.first)
    let effects = provider.run(&clock, seconds: 25)
    #expect(
      effects.completions == [
        .failed(1, .notAnswering(afterMilliseconds: 20_000)), .failed(2, .notAnswering(afterMilliseconds: 20_000)),
      ])
    provider.enumerate(.guest, id: 3, clock.now)
    #expect(provider.effects().completions == [.failed(3, .notAnswering(afterMilliseconds: 25_000))])
    // The driver gives its daemon up after 30 s.
    provider.receive(packet.answer(.failure), clock)
    #expect(provider.effects().events == [.lateReply])
    provider.enumerate(.guest, id: 4, clock.now)
    #expect(run().completions == [.ok(4, .items([]))])
  }

  @Test mutating func failureIsNotMissing() throws {
    ready()
    provider.delete("a", in: .external, id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    provider.receive(packet.answer(.failure), clock)
    #expect(provider.effects().completions == [.failed(1, .refused(.failure))])
  }

  @Test mutating func enumerationThatNeverEnds() {
    ready()
    provider.enumerate(.guest, limit: 100, id: 1, clock.now)
    provider.enumerate(.guest, id: 2, clock.now)
    provider.get("nowhere", in: .guest, id: 3, clock.now)
    var sent = 0
    let effects = provider.exchange(clock) { packet in
      sent += 1
      var answer = packet.answer()
      answer.write(UInt32(1), at: 36)
      answer.write(UInt32(4), at: 40)
      answer.write(UInt32(4), at: 44)
      answer.write(UInt16(65), at: 48)
      return answer
    }
    #expect(sent == 100 + 4096 + 4096)
    let counts = effects.completions.map { completion -> Int in
      if case .success(.items(let items)) = completion.result { items.count } else { -1 }
    }
    #expect(counts == [100, 4096, -1])
    #expect(effects.completions.last == .failed(3, .noSuchKey))
  }

  @Test mutating func tenThousandRecordsAndDuplicates() {
    guest.pools[1] = (0..<10_000).map { ("same\($0 % 2)", "\($0)") }
    ready()
    provider.enumerate(.guest, id: 1, clock.now)
    guard case .success(.items(let items)) = run().completions.first?.result else {
      Issue.record("no items")
      return
    }
    #expect(items.count == KeyValueProvider.enumerationLimit)
  }

  /// Type, key size, value size: each makes a record that is skipped and counted; the next ones still come.
  @Test(
    arguments: [
      (1, 514, 4), (1, 3, 4), (1, 0xFFFF_FFFF, 4), (1, 4, 2049), (1, 4, 2050), (1, 4, 3), (1, 4, 0xFFFF_FFFF),
      (0, 4, 4), (2, 4, 4), (0xFFFF_FFFF, 4, 4), (4, 4, 8), (4, 4, 0), (8, 4, 4), (8, 4, 2048),
    ] as [(UInt32, UInt32, UInt32)])
  mutating func badRecordsAreSkipped(type: UInt32, keySize: UInt32, valueSize: UInt32) {
    guest.pools[1] = [("a", "1"), ("b", "2"), ("c", "3")]
    ready()
    provider.enumerate(.guest, id: 1, clock.now)
    var guest = self.guest
    let effects = provider.exchange(clock) { packet in
      guard var answer = guest.answer(packet) else { return nil }
      if packet.read(UInt32.self, at: 32) == 1 {
        answer.write(type, at: 36)
        answer.write(keySize, at: 40)
        answer.write(valueSize, at: 44)
      }
      return answer
    }
    #expect(
      effects.completions == [
        .ok(1, .items([KeyValueItem(key: "a", value: .string("1")), KeyValueItem(key: "c", value: .string("3"))]))
      ])
    #expect(provider.counters.faults == [.badBody: 1])
    #expect(effects.events == [.fault(.badBody)])
  }

  @Test mutating func noTerminatorLoneSurrogateEmbeddedNULAndFullFields() throws {
    ready()
    func answer(_ key: [UInt16], _ value: [UInt16]) -> (Packet) -> Packet? {
      { packet in
        if packet.read(UInt32.self, at: 32) > 0 { return packet.answer(.noMoreItems) }
        var answer = packet.answer()
        answer.write(UInt32(1), at: 36)
        answer.write(UInt32(2 * key.count), at: 40)
        answer.write(UInt32(2 * value.count), at: 44)
        for (index, unit) in key.enumerated() { answer.write(unit, at: 48 + 2 * index) }
        for (index, unit) in value.enumerated() { answer.write(unit, at: 560 + 2 * index) }
        return answer
      }
    }
    let full = [UInt16](repeating: 0x4B, count: 256)
    let fullValue = [UInt16](repeating: 0x56, count: 1024)
    let cases: [([UInt16], [UInt16], String, String)] = [
      ([0x61], [0x62], "a", "b"),
      ([0x61, 0xD800, 0x62], [0xDC00, 0xD83D], "a\u{FFFD}b", "\u{FFFD}\u{FFFD}"),
      ([0x61, 0, 0x62, 0], [0, 0x62], "a", ""),
      ([], [], "", ""),
      (full, fullValue, String(repeating: "K", count: 256), String(repeating: "V", count: 1024)),
    ]
    for (key, value, keyText, valueText) in cases {
      provider.enumerate(.guest, id: 1, clock.now)
      let effects = provider.exchange(clock, answer(key, value))
      #expect(
        effects.completions
          == [.ok(1, .items([KeyValueItem(key: keyText, value: .string(valueText))]))])
    }
    #expect(provider.counters.faults.isEmpty)
  }

  @Test mutating func shortAnswersAreBadBodies() throws {
    guest.adapters["M"] = AdapterConfiguration()
    ready()
    provider.adapterConfiguration(macAddress: "M", id: 1, clock.now)
    let packet = try #require(provider.effects().sent.first)
    var answer = packet.answer()
    answer.write(UInt16(100), at: 18)
    provider.receive(answer, clock)
    #expect(provider.effects().completions == [.failed(1, .invalidAnswer(.badBody))])
    provider.enumerate(.guest, id: 2, clock.now)
    let effects = provider.exchange(clock) { packet in
      var answer = packet.answer(packet.read(UInt32.self, at: 32) < 3 ? .ok : .noMoreItems)
      answer.write(UInt16(8), at: 18)
      return answer
    }
    #expect(effects.completions == [.ok(2, .items([]))])
  }

  @Test mutating func theQueueIsBounded() {
    ready()
    for id in 0..<100 as Range<UInt64> { provider.get("a", in: .guest, id: ServiceRequestID(rawValue: id), clock.now) }
    let refused = provider.effects().completions
    #expect(refused.count == 100 - ServiceLimits.requests - 1)
    #expect(refused.allSatisfy { $0.result == .failure(.queueFull) })
    provider.channelClosed(clock.now)
    let ended = provider.effects().completions
    #expect(ended.count == ServiceLimits.requests + 1)
    #expect(ended.allSatisfy { $0.result == .failure(.channelClosed) })
  }

  @Test mutating func cancelling() throws {
    ready()
    provider.get("a", in: .guest, id: 1, clock.now)
    provider.get("b", in: .guest, id: 2, clock.now)
    provider.get("c", in: .guest, id: 3, clock.now)
    let packet = try #require(provider.effects().sent.first)
    provider.cancel(id: 2, clock.now)
    provider.cancel(id: 1, clock.now)
    provider.cancel(id: 77, clock.now)
    #expect(
      provider.effects().completions == [
        .failed(2, .cancelled(remains: .nothing)), .failed(1, .cancelled(remains: .nothing)),
      ])
    // The next goes out when the guest has answered the cancelled one.
    provider.receive(packet.answer(.noMoreItems), clock)
    #expect(run().completions == [.failed(3, .noSuchKey)])
  }

  @Test mutating func unavailableBeforeTheDaemonRuns() throws {
    provider.get("a", in: .guest, id: 1, clock.now)
    provider.channelOpened(clock.now)
    let negotiate = try #require(provider.effects().sent.first)
    provider.run(&clock, seconds: 3600)
    provider.get("a", in: .guest, id: 2, clock.now)
    #expect(provider.effects().completions == [.failed(2, .unavailable(.waitingForDaemon))])
    let answered = guest.answer(negotiate)
    let answer = try #require(answered)
    provider.receive(answer, clock)
    #expect(provider.state.isReady)
  }
}

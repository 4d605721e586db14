// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import Testing
import VMBus

/// Random schedules of requests, replies (right, wrong, late, twice, mangled), deadlines, pauses, openings and closings:
/// every request ends in exactly one completion, and nothing is sent that should not be.
@Suite struct ExactlyOnceTests {
  static let seeds: [UInt64] = Array(1...60)
  static let steps = 400

  @Test(arguments: seeds) func shutdown(seed: UInt64) {
    walk(ShutdownProvider(), seed, outstanding: 1) { provider, id, random, clock in
      let actions: [ShutdownRequest.Action] = [.powerOff, .restart, .hibernate]
      provider.request(ShutdownRequest(actions[random.pick(3)], timeoutSeconds: 30), id: id, clock.now)
    }
  }

  @Test(arguments: seeds) func keyValue(seed: UInt64) {
    walk(KeyValueProvider(hostItems: [KeyValueItem(key: "k", value: .unsigned32(1))]), seed, outstanding: 1) {
      provider, id, random, clock in
      switch random.pick(8) {
      case 0: provider.enumerate(.guest, limit: random.pick(4), id: id, clock.now)
      case 1: provider.get("key", in: .guest, id: id, clock.now)
      case 2: provider.set(KeyValueItem(key: "k", value: .string("v")), in: .external, id: id, clock.now)
      case 3: provider.set(KeyValueItem(key: "k", value: .string("v")), in: .external, mode: .add, id: id, clock.now)
      case 4: provider.delete("k", in: .external, id: id, clock.now)
      case 5: provider.adapterConfiguration(macAddress: "00", id: id, clock.now)
      case 6:
        provider.setAdapterConfiguration(AdapterConfiguration(), adapter: GUID(low: 0, high: 0), id: id, clock.now)
      default: provider.set(KeyValueItem(key: "", value: .string("")), in: .external, id: id, clock.now)
      }
      if random.pick(6) == 0 {
        provider.cancel(id: ServiceRequestID(rawValue: id.rawValue &- UInt64(random.pick(4))), clock.now)
      }
    }
  }

  @Test(arguments: seeds) func snapshot(seed: UInt64) {
    walk(VolumeSnapshotProvider(), seed, outstanding: 1) { provider, id, random, clock in
      switch random.pick(3) {
      case 0: provider.check(id: id, clock.now)
      case 1:
        provider.freeze(
          holdAtMost: UInt64(random.pick(40)) * ServiceLimits.second,
          answerWithin: UInt64(random.pick(40)) * ServiceLimits.second, id: id, clock.now)
      default: provider.thaw(id: id, clock.now)
      }
    }
  }

  @Test(arguments: seeds) func fileCopy(seed: UInt64) {
    walk(FileCopyProvider(), seed, outstanding: 1) { provider, id, random, clock in
      let size = [0, 1, 6144, 20_000, 200_000][random.pick(5)]
      provider.copy(FileCopyRequest(name: "a", folder: "/", size: UInt64(size)), id: id, clock.now)
      if random.pick(4) == 0 {
        provider.cancel(id: ServiceRequestID(rawValue: id.rawValue &- UInt64(random.pick(4))), clock.now)
      }
    } read: { provider, read, random, clock in
      let id = ServiceRequestID(rawValue: read.id)
      switch random.pick(12) {
      case 0: provider.sourceFailed("no", id: id, clock.now)
      case 1: provider.supply([], offset: read.offset, id: id, clock.now)
      case 2: provider.cancel(id: id, clock.now)
      default: provider.supply([UInt8](repeating: 7, count: read.count), offset: read.offset, id: id, clock.now)
      }
    }
  }

  @Test(arguments: seeds) func heartbeatAndTimeOnlyKeepTheirBounds(seed: UInt64) {
    walk(HeartbeatProvider(), seed, outstanding: 4) { _, _, _, _ in }
    walk(TimeSynchronizationProvider(), seed, outstanding: 1) { provider, _, _, clock in provider.setNow(clock.now) }
  }

  private func walk<P: IntegrationServiceProvider>(
    _ initial: P, _ seed: UInt64, outstanding limit: Int,
    request: (inout P, ServiceRequestID, inout SplitMix, TestClock) -> Void,
    read: ((inout P, (id: UInt64, offset: UInt64, count: Int), inout SplitMix, TestClock) -> Void)? = nil
  ) {
    var provider = initial
    let makesRequests = !(initial is HeartbeatProvider || initial is TimeSynchronizationProvider)
    var random = SplitMix(seed: seed)
    var clock = TestClock()
    var isOpen = false
    var isPaused = false
    var issued: UInt64 = 0
    var completed: [UInt64: Int] = [:]
    /// Sent since the channel was opened and not answered with the right transaction.
    var pending: [Packet] = []
    var reads: [(id: UInt64, offset: UInt64, count: Int)] = []

    func drain() {
      let effects = provider.effects()
      #expect(isOpen || effects.sent.isEmpty, "seed \(seed): sent on a closed channel")
      pending += effects.sent
      #expect(pending.count <= limit, "seed \(seed): \(pending.count) messages are outstanding")
      reads += effects.reads
      for completion in effects.completions { completed[completion.id, default: 0] += 1 }
      #expect(effects.events.count <= ServiceLimits.events)
    }

    for _ in 0..<Self.steps {
      switch random.pick(20) {
      case 0:
        isOpen = true
        isPaused = false
        pending = []
        provider.channelOpened(clock.now)
      case 1 where random.pick(3) == 0:
        isOpen = false
        isPaused = false
        pending = []
        provider.channelClosed(clock.now)
      // What had been queued before is not sent any more.
      case 2, 3, 4:
        issued += 1
        request(&provider, ServiceRequestID(rawValue: issued), &random, clock)
      case 5:
        clock.advance(seconds: Double(random.pick(30)))
        provider.tick(clock.now)
      case 6 where random.pick(4) == 0:
        isPaused.toggle()
        if isPaused {
          provider.partitionPaused(clock.now)
        } else {
          provider.partitionResumed(clock.now)
        }
      case 7:
        // Garbage.
        provider.receive((0..<random.pick(80)).map { _ in UInt8(random.pick(256)) }, clock)
      case 8 where !pending.isEmpty:
        var mangled = pending[random.pick(pending.count)].answer()
        mangled.bytes[random.pick(min(mangled.bytes.count, 60))] ^= UInt8(1 << random.pick(8))
        // Whatever it was taken for, it may have been an answer.
        let before = provider.counters.replies
        provider.receive(mangled, clock)
        if provider.counters.replies != before {
          pending.removeAll { $0.header?.transaction == mangled.header?.transaction }
        }
      case 9 where !reads.isEmpty:
        let wish = reads.remove(at: random.pick(reads.count))
        read?(&provider, wish, &random, clock)
      default:
        guard !pending.isEmpty else { break }
        let packet = pending.remove(at: random.pick(pending.count))
        provider.receive(answer(packet, &random), clock)
        if random.pick(10) == 0 { provider.receive(answer(packet, &random), clock) }
        if let wish = reads.last, random.pick(2) == 0 {
          reads.removeLast()
          read?(&provider, wish, &random, clock)
        }
      }
      drain()
      if let deadline = provider.deadline, deadline <= clock.now.monotonic {
        provider.tick(clock.now)
        drain()
        #expect((provider.deadline ?? .max) > clock.now.monotonic, "seed \(seed): a tick that changes nothing")
      }
    }
    provider.channelClosed(clock.now)
    isOpen = false
    pending = []
    drain()
    guard makesRequests else { return }
    for id in 1...max(issued, 1) where issued > 0 {
      #expect(completed[id] == 1, "seed \(seed): request \(id) of \(issued) ended \(completed[id] ?? 0) times")
    }
    #expect(completed.count == Int(issued))
  }

  /// A guest that is mostly right.
  private func answer(_ packet: Packet, _ random: inout SplitMix) -> Packet {
    if packet.isNegotiation {
      let offered = packet.header?.framework ?? ServiceVersion(3, 0)
      if random.pick(12) == 0 { return packet.choosingNone() }
      return packet.choosing(offered, packet.header?.message ?? ServiceVersion(1, 0))
    }
    let statuses: [IntegrationStatus] = [.ok, .ok, .ok, .ok, .failure, .noMoreItems, .fileExists, .diskFull]
    var answer = packet.answer(statuses[random.pick(statuses.count)])
    if packet.header?.type == .heartbeat { answer.write(packet.read(UInt64.self, at: 28) &+ 1, at: 28) }
    return answer
  }
}

extension SplitMix {
  /// A number from 0 up to, but not including, `count`.
  mutating func pick(_ count: Int) -> Int { Int(next() % UInt64(count)) }
}

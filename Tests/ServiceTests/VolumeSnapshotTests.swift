// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

@Suite struct VolumeSnapshotTests {
  var clock = TestClock()
  var provider = VolumeSnapshotProvider()
  /// Linux with its daemon: `daemon` false is a driver alone, which answers E_FAIL.
  var guest = Guest()

  struct Guest {
    var daemon = true
    var frozen = false
    var freezeFails = false
    var operations: [SnapshotOperation] = []
    /// Packets that a stopped daemon leaves unanswered.
    var isStopped = false
    var unanswered: [Packet] = []

    mutating func answer(_ packet: Packet) -> Packet? {
      if packet.isNegotiation { return packet.choosing(ServiceVersion(3, 0), ServiceVersion(5, 0)) }
      let operation = SnapshotOperation(rawValue: packet.read(UInt8.self, at: 28))
      operations.append(operation)
      guard daemon else { return packet.answer(.failure) }
      if isStopped {
        unanswered.append(packet)
        return nil
      }
      return work(packet)
    }

    mutating func work(_ packet: Packet) -> Packet {
      switch SnapshotOperation(rawValue: packet.read(UInt8.self, at: 28)) {
      case .hotBackup:
        var answer = packet.answer()
        answer.write(UInt32(5), at: 36)
        return answer
      case .freeze:
        if freezeFails { return packet.answer(.failure) }
        frozen = true
      case .thaw: frozen = false
      default: break
      }
      return packet.answer()
    }
  }

  mutating func run() -> Effects {
    var guest = self.guest
    let effects = provider.exchange(clock) { guest.answer($0) }
    self.guest = guest
    return effects
  }

  /// Lets time pass; the guest answers what is sent.
  mutating func run(seconds: Double) -> Effects {
    var all = run()
    let end = clock.now.monotonic + UInt64(seconds * 1e9)
    while let deadline = provider.deadline, deadline <= end {
      if deadline > clock.now.monotonic { clock.advance(nanoseconds: deadline - clock.now.monotonic) }
      provider.tick(clock.now)
      all.all += run().all
    }
    clock.advance(nanoseconds: end - clock.now.monotonic)
    return all
  }

  mutating func ready() {
    provider.channelOpened(clock.now)
    _ = run()
    // The provider's own look for the daemon.
    #expect(guest.operations.last == .hotBackup || provider.isFrozen || guest.operations.last == .thaw)
    guest.operations = []
  }

  @Test mutating func checkFreezeThaw() {
    ready()
    provider.check(id: 1, clock.now)
    #expect(run().completions == [.ok(1, .hotBackup(flags: 5))])
    provider.freeze(id: 2, clock.now)
    let effects = run()
    #expect(effects.completions == [.ok(2, .frozen(heldAtMostMilliseconds: 60_000))])
    #expect(effects.events == [.snapshot(.frozen)])
    #expect(guest.frozen && provider.isFrozen)
    provider.freeze(id: 3, clock.now)
    #expect(run().completions == [.failed(3, .alreadyFrozen)])
    provider.thaw(id: 4, clock.now)
    #expect(run().completions == [.ok(4)])
    #expect(!guest.frozen && !provider.isFrozen)
    #expect(provider.deadline == nil)
    #expect(guest.operations == [.hotBackup, .hotBackup, .freeze, .thaw])
  }

  @Test mutating func theHostThawsWhenTheHoldTimeHasPassed() {
    ready()
    provider.freeze(holdAtMost: 10 * ServiceLimits.second, id: 1, clock.now)
    #expect(run(seconds: 9).completions == [.ok(1, .frozen(heldAtMostMilliseconds: 10_000))])
    #expect(guest.frozen)
    #expect(run(seconds: 2).events == [.snapshot(.holdTimePassed), .snapshot(.thawed)])
    #expect(!guest.frozen && !provider.isFrozen)
  }

  @Test mutating func aMissingDaemonIsReportedAndNothingIsFrozen() {
    guest.daemon = false
    ready()
    provider.check(id: 1, clock.now)
    provider.freeze(id: 2, clock.now)
    #expect(provider.effects().completions == [.failed(2, .queueFull)])
    provider = VolumeSnapshotProvider()
    ready()
    provider.check(id: 1, clock.now)
    #expect(run().completions == [.failed(1, .daemonNotRunning)])
    provider.freeze(id: 2, clock.now)
    #expect(run().completions == [.failed(2, .daemonNotRunning)])
    #expect(!provider.isFrozen)
    #expect(!guest.operations.contains(.freeze))
    provider.thaw(id: 3, clock.now)
    #expect(run().completions == [.failed(3, .daemonNotRunning)])
    guest.operations = []
    _ = run(seconds: 60)
    #expect(Set(guest.operations) == [.hotBackup], "nothing was frozen, no thaw is tried again")
    // The daemon is started: a retry works.
    guest.daemon = true
    provider.freeze(id: 4, clock.now)
    #expect(run().completions == [.ok(4, .frozen(heldAtMostMilliseconds: 60_000))])
  }

  @Test mutating func aFailedFreezeIsFollowedByAThaw() {
    guest.freezeFails = true
    ready()
    provider.freeze(id: 1, clock.now)
    #expect(run().completions == [.failed(1, .freezeFailed)])
    #expect(guest.operations == [.hotBackup, .freeze, .thaw])
    #expect(!provider.isFrozen)
  }

  @Test mutating func anUnansweredFreezeIsThawedWhenTheAnswerComes() throws {
    ready()
    provider.freeze(answerWithin: 30 * ServiceLimits.second, id: 1, clock.now)
    var checked = try #require(provider.effects().sent.first).answer()
    checked.write(UInt32(5), at: 36)
    guest.isStopped = true
    provider.receive(checked, clock)
    let effects = run(seconds: 40)
    #expect(effects.completions == [.failed(1, .notAnswering(afterMilliseconds: 30_000))])
    #expect(effects.events == [.snapshot(.freezeTimedOut)])
    #expect(provider.isFrozen, "it may be")
    provider.freeze(id: 2, clock.now)
    provider.thaw(id: 3, clock.now)
    #expect(
      run().completions == [
        .failed(2, .notAnswering(afterMilliseconds: 40_000)), .failed(3, .notAnswering(afterMilliseconds: 40_000)),
      ])
    // The daemon goes on: it freezes now, and the host thaws at once.
    guest.isStopped = false
    let late = guest.work(guest.unanswered[0])
    #expect(guest.frozen)
    provider.receive(late, clock)
    #expect(run().events == [.lateReply, .snapshot(.thawed)])
    #expect(!guest.frozen && !provider.isFrozen)
  }

  @Test mutating func daemonKilledWhileFrozenIsThawedByTheNextOne() {
    ready()
    provider.freeze(holdAtMost: 10 * ServiceLimits.second, id: 1, clock.now)
    _ = run()
    guest.daemon = false
    provider.thaw(id: 2, clock.now)
    let effects = run(seconds: 60)
    #expect(effects.completions == [.failed(2, .daemonNotRunning)])
    #expect(effects.events == [.state(.waitingForDaemon), .snapshot(.thawFailed(.daemonNotRunning))], "said once")
    #expect(guest.frozen && provider.isFrozen)
    #expect(guest.operations.filter { $0 == .thaw }.count == 13, "at once, and every five seconds")
    guest.daemon = true
    #expect(run(seconds: 6).events.contains(.snapshot(.thawed)))
    #expect(!guest.frozen && !provider.isFrozen)
    #expect(provider.state.isReady)
  }

  @Test mutating func theStateTellsWhetherTheDaemonIsThere() {
    guest.daemon = false
    provider.channelOpened(clock.now)
    #expect(run().events == [.state(.negotiating), .state(.waitingForDaemon)])
    #expect(run(seconds: 60).events.isEmpty)
    guest.daemon = true
    #expect(run(seconds: 6).events == [.state(.ready(framework: ServiceVersion(3, 0), message: ServiceVersion(5, 0)))])
    guest.operations = []
    _ = run(seconds: 600)
    #expect(guest.operations.isEmpty, "once it is there it is left alone")
    guest.daemon = false
    provider.check(id: 1, clock.now)
    #expect(run().completions == [.failed(1, .daemonNotRunning)])
    #expect(provider.state == .waitingForDaemon)
  }

  @Test mutating func daemonKilledInMidFreeze() throws {
    ready()
    provider.freeze(id: 1, clock.now)
    let check = try #require(provider.effects().sent.first)
    guest.isStopped = true
    provider.receive(guest.work(check), clock)
    _ = run()
    // Half of the file systems are frozen when it dies; the driver answers E_FAIL.
    guest.frozen = true
    guest.daemon = false
    provider.receive(guest.unanswered[0].answer(.failure), clock)
    #expect(run().completions == [.failed(1, .daemonNotRunning)])
    #expect(provider.isFrozen)
    guest.daemon = true
    guest.isStopped = false
    _ = run(seconds: 6)
    #expect(!guest.frozen && !provider.isFrozen)
  }

  @Test mutating func thawAskedForWhileFreezing() throws {
    ready()
    provider.freeze(id: 1, clock.now)
    let check = try #require(provider.effects().sent.first)
    provider.thaw(id: 2, clock.now)
    provider.receive(guest.work(check), clock)
    #expect(run().completions == [.failed(1, .cancelled(remains: .nothing)), .ok(2)])
    // And once the freeze is on its way.
    provider.freeze(id: 3, clock.now)
    provider.receive(guest.work(try #require(provider.effects().sent.first)), clock)
    let freeze = try #require(provider.effects().sent.first)
    provider.thaw(id: 4, clock.now)
    provider.receive(guest.work(freeze), clock)
    #expect(run().completions == [.ok(3, .frozen(heldAtMostMilliseconds: 60_000)), .ok(4)])
    #expect(!guest.frozen && !provider.isFrozen)
  }

  @Test mutating func closedWhileFrozenIsThawedAfterReopening() {
    ready()
    provider.freeze(id: 1, clock.now)
    _ = run()
    provider.channelClosed(clock.now)
    #expect(provider.isFrozen)
    provider.thaw(id: 2, clock.now)
    #expect(run().completions == [.failed(2, .unavailable(.closed))])
    ready()
    #expect(!guest.frozen && !provider.isFrozen)
  }

  @Test mutating func aPauseDoesNotEatTheHoldTime() {
    ready()
    provider.freeze(holdAtMost: 10 * ServiceLimits.second, id: 1, clock.now)
    _ = run(seconds: 5)
    provider.partitionPaused(clock.now)
    #expect(provider.deadline == nil)
    clock.advance(seconds: 600, partitionRuns: false)
    provider.tick(clock.now)
    provider.partitionResumed(clock.now)
    #expect(run(seconds: 4).events.isEmpty)
    #expect(run(seconds: 2).events == [.snapshot(.holdTimePassed), .snapshot(.thawed)])
  }

  @Test mutating func unansweredCheckAndThaw() throws {
    ready()
    guest.isStopped = true
    provider.check(id: 1, clock.now)
    #expect(run(seconds: 21).completions == [.failed(1, .notAnswering(afterMilliseconds: 20_000))])
    provider.receive(guest.work(guest.unanswered[0]), clock)
    #expect(run().completions.isEmpty)
    guest.isStopped = false
    provider.freeze(id: 2, clock.now)
    _ = run()
    guest.isStopped = true
    guest.unanswered = []
    provider.thaw(id: 3, clock.now)
    #expect(run(seconds: 300).completions == [.failed(3, .notAnswering(afterMilliseconds: 20_000))])
    provider.receive(guest.work(guest.unanswered[0]), clock)
    #expect(run().events == [.lateReply, .snapshot(.thawed)])
    #expect(!provider.isFrozen)
  }

  @Test mutating func thawRequestsAreBounded() {
    ready()
    for id in 0..<100 as Range<UInt64> { provider.thaw(id: ServiceRequestID(rawValue: id), clock.now) }
    let effects = run()
    #expect(effects.completions.count == 100)
    #expect(effects.completions.filter { $0.result == .failure(.queueFull) }.count == 92)
  }

  @Test mutating func shortAnswerToTheCheck() throws {
    ready()
    provider.check(id: 1, clock.now)
    var answer = try #require(provider.effects().sent.first).answer()
    answer.write(UInt16(11), at: 18)
    provider.receive(answer, clock)
    #expect(provider.effects().completions == [.failed(1, .invalidAnswer(.badBody))])
  }

  @Test mutating func withOurClient() {
    var client = VolumeSnapshotClient()
    var frozen = false
    func answer(_ packet: Packet) -> Packet? {
      var packet = packet
      do throws(ClientFault) {
        try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in
          guard try client.receive(&bytes) == .later else { return }
          if client.operation == .freeze { frozen = true }
          if client.operation == .thaw { frozen = false }
          try client.answer(.ok, in: &bytes)
        }
        return packet
      } catch {
        return nil
      }
    }
    provider.channelOpened(clock.now)
    provider.check(id: 9, clock.now)
    _ = provider.exchange(clock, answer)
    provider.check(id: 1, clock.now)
    #expect(provider.exchange(clock, answer).completions == [.ok(1, .hotBackup(flags: 5))])
    provider.freeze(id: 2, clock.now)
    _ = provider.exchange(clock, answer)
    #expect(frozen)
    provider.thaw(id: 3, clock.now)
    #expect(provider.exchange(clock, answer).completions == [.ok(3)])
    #expect(!frozen)
    #expect(client.link.faults == 0)
  }
}

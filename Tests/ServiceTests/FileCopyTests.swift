// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Testing
import VMBus

@Suite struct FileCopyTests {
  var clock = TestClock()
  var provider = FileCopyProvider()
  var guest = FileCopyGuest(.driver)
  var file: [UInt8] = []
  /// Blocks that the owner gives before it does something else.
  var readsLeft = Int.max

  static func content(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) } }

  /// Lets guest and owner work until both have nothing to do.
  mutating func run() -> Effects {
    var all = Effects()
    while true {
      let effects = provider.effects()
      all.all += effects.all
      var moved = false
      for packet in effects.sent {
        if let answer = guest.answer(packet) {
          provider.receive(answer, clock)
          moved = true
        }
      }
      for read in effects.reads where readsLeft > 0 {
        readsLeft -= 1
        let start = Int(read.offset)
        provider.supply(
          Array(file[start..<min(start + read.count, file.count)]), offset: read.offset,
          id: ServiceRequestID(rawValue: read.id), clock.now)
        moved = true
      }
      if !moved, effects.all.isEmpty { return all }
    }
  }

  mutating func ready(_ kind: FileCopyGuest.Kind = .driver) {
    guest = FileCopyGuest(kind)
    provider.channelOpened(clock.now)
    _ = run()
  }

  func request(_ name: String = "a", folder: String = "/tmp", size: Int? = nil, overwrite: Bool = false)
    -> FileCopyRequest
  {
    FileCopyRequest(name: name, folder: folder, size: UInt64(size ?? file.count), overwrite: overwrite)
  }

  static let kinds: [FileCopyGuest.Kind] = [.driver, .uio]

  @Test(arguments: kinds, [0, 1, 6143, 6144, 6145, 98304, 98305, 1_000_000])
  mutating func sizes(kind: FileCopyGuest.Kind, size: Int) {
    file = Self.content(size)
    ready(kind)
    #expect(provider.isUIODaemon == (kind == .uio))
    provider.copy(request(), id: 1, clock.now)
    let effects = run()
    #expect(effects.completions == [.ok(1, .copied(UInt64(size)))])
    #expect(guest.files["/tmp/a"] == file)
    let progress = effects.events.compactMap { if case .copyProgress(_, let copied, _) = $0 { copied } else { nil } }
    #expect(progress == progress.sorted())
    #expect(size == 0 ? progress.isEmpty : progress.last == UInt64(size))
    #expect(effects.sent.allSatisfy { [1116, 6224, 64].contains($0.bytes.count) })
  }

  @Test(arguments: kinds) mutating func existingTargetAndOverwrite(kind: FileCopyGuest.Kind) {
    file = Self.content(10_000)
    ready(kind)
    guest.files["/tmp/a"] = [1, 2, 3]
    provider.copy(request(), id: 1, clock.now)
    #expect(run().completions == [.failed(1, .fileExists)])
    #expect(guest.files["/tmp/a"] == [1, 2, 3])
    provider.copy(request(overwrite: true), id: 2, clock.now)
    #expect(run().completions == [.ok(2, .copied(10_000))])
    #expect(guest.files["/tmp/a"] == file)
  }

  @Test(arguments: kinds) mutating func unwritableAndMissingFolders(kind: FileCopyGuest.Kind) {
    file = Self.content(10)
    ready(kind)
    guest.readOnly = ["/tmp"]
    provider.copy(request(), id: 1, clock.now)
    provider.copy(request(folder: "/no/such"), id: 2, clock.now)
    #expect(run().completions == [.failed(1, .cannotCreate), .failed(2, .cannotCreate)])
    var creating = request(folder: "/new/folder")
    creating.createPath = true
    provider.copy(creating, id: 3, clock.now)
    #expect(run().completions == [.ok(3, .copied(10))])
    #expect(guest.files["/new/folder/a"] == file, "the last folder is made too")
    #expect(guest.files.count == 1)
  }

  @Test mutating func daemonOfTheDriverNotRunning() {
    file = Self.content(10)
    ready()
    guest.killDaemon()
    provider.copy(request(), id: 1, clock.now)
    #expect(run().completions == [.failed(1, .daemonNotRunning)])
    #expect(provider.state == .waitingForDaemon)
    guest.daemonRuns = true
    provider.copy(request(), id: 2, clock.now)
    #expect(run().completions == [.ok(2, .copied(10))])
    #expect(provider.state.isReady)
  }

  @Test mutating func theStateTellsWhetherTheDaemonIsThere() {
    guest.killDaemon()
    provider.channelOpened(clock.now)
    #expect(run().events == [.state(.negotiating), .state(.waitingForDaemon)])
    guest.daemonRuns = true
    var events: [ServiceEvent] = []
    for _ in 0..<6 {
      clock.advance(seconds: 1)
      provider.tick(clock.now)
      events += run().events
    }
    #expect(events == [.state(.ready(framework: ServiceVersion(3, 0), message: ServiceVersion(1, 1)))])
    #expect(provider.deadline == nil, "once it is there it is left alone")
    #expect(guest.files.isEmpty)
  }

  @Test mutating func uioDaemonNotRunning() {
    file = Self.content(10)
    provider.copy(request(), id: 1, clock.now)
    #expect(run().completions == [.failed(1, .unavailable(.closed))])
  }

  @Test mutating func daemonKilledInMidCopyOfTheDriver() {
    file = Self.content(300_000)
    ready()
    readsLeft = 1
    provider.copy(request(), id: 1, clock.now)
    _ = run()
    guest.killDaemon()
    provider.supply(Array(file[98304..<196_608]), offset: 98304, id: 1, clock.now)
    #expect(
      run().completions == [
        .failed(1, .copyInterrupted(reason: .daemonNotRunning, remains: .perhapsPartialFile))
      ])
  }

  @Test mutating func daemonReplacedInMidCopyStillRemovesTheFile() {
    file = Self.content(300_000)
    ready()
    readsLeft = 1
    provider.copy(request(), id: 1, clock.now)
    _ = run()
    guest.killDaemon()
    provider.supply(Array(file[98304..<196_608]), offset: 98304, id: 1, clock.now)
    let write = provider.effects().sent
    if let answer = write.first.flatMap({ guest.answer($0) }) { provider.receive(answer, clock) }
    // CANCEL is on its way to the old daemon's ghost; then the new one is there.
    let cancel = provider.effects().sent
    if let answer = cancel.first.flatMap({ guest.answer($0) }) { provider.receive(answer, clock) }
    guest.daemonRuns = true
    #expect(
      run().completions == [
        .failed(1, .writeFailed(.failure, remains: .removed))
      ])
    #expect(guest.files.isEmpty)
  }

  @Test(arguments: kinds, [0, 1, 5]) mutating func diskFull(kind: FileCopyGuest.Kind, fragments: Int) {
    file = Self.content(100_000)
    ready(kind)
    guest.space = fragments * 6144
    provider.copy(request(), id: 1, clock.now)
    #expect(run().completions == [.failed(1, .diskFull(remains: kind == .driver ? .removed : .emptyFile))])
    #expect(guest.files["/tmp/a"] == (kind == .driver ? nil : []))
  }

  @Test(arguments: kinds, [IntegrationStatus.failure, .notSupported, IntegrationStatus(rawValue: 0xFFFF_FFFF)])
  mutating func refusedAtFragmentN(kind: FileCopyGuest.Kind, status: IntegrationStatus) {
    file = Self.content(50_000)
    for fragment in 0..<9 {
      provider = FileCopyProvider()
      ready(kind)
      provider.copy(request(), id: 1, clock.now)
      var count = 0
      var completions: [Completion] = []
      while true {
        let effects = provider.effects()
        if effects.all.isEmpty { break }
        completions += effects.completions
        for packet in effects.sent {
          guard var answer = guest.answer(packet) else { continue }
          if packet.read(UInt32.self, at: 28) == 1 {
            if count == fragment { answer.write(status.rawValue, at: 20) }
            count += 1
          }
          provider.receive(answer, clock)
        }
        for read in effects.reads { provider.supply(file, offset: read.offset, id: 1, clock.now) }
      }
      let remains: FileRemains = kind == .driver ? .removed : .emptyFile
      #expect(completions == [.failed(1, .writeFailed(status, remains: remains))])
      #expect(guest.files["/tmp/a"] == (kind == .driver ? nil : []))
    }
  }

  @Test(arguments: kinds) mutating func cancelledAtEachPoint(kind: FileCopyGuest.Kind) {
    file = Self.content(250_000)
    let remains: FileRemains = kind == .driver ? .removed : .emptyFile
    for step in 0..<46 {
      provider = FileCopyProvider()
      ready(kind)
      provider.copy(request(), id: 1, clock.now)
      var steps = 0
      var completions: [Completion] = []
      while true {
        if steps == step { provider.cancel(id: 1, clock.now) }
        let effects = provider.effects()
        if effects.all.isEmpty { break }
        completions += effects.completions
        for packet in effects.sent { guest.answer(packet).map { provider.receive($0, clock) } }
        for read in effects.reads {
          provider.supply(
            Array(file[Int(read.offset)..<Int(read.offset) + read.count]), offset: read.offset, id: 1, clock.now)
        }
        steps += 1
      }
      #expect(completions.count == 1)
      if completions == [.ok(1, .copied(250_000))] {
        #expect(guest.files["/tmp/a"] == file)
        #expect(step > 40, "only when it was complete already")
      } else {
        #expect(completions == [.failed(1, .cancelled(remains: remains))])
        #expect(guest.files["/tmp/a"] == (kind == .driver ? nil : []))
      }
      guest.files = [:]
      // The service goes on.
      provider.copy(request("b", size: 0), id: 2, clock.now)
      #expect(run().completions == [.ok(2, .copied(0))])
    }
  }

  @Test mutating func copiesWaitForEachOther() {
    file = Self.content(7000)
    ready()
    for id in 1...20 as ClosedRange<UInt64> {
      provider.copy(request("f\(id)"), id: ServiceRequestID(rawValue: id), clock.now)
    }
    provider.cancel(id: 5, clock.now)
    let completions = run().completions
    #expect(completions.count == 20)
    #expect(completions.filter { $0.result == .failure(.queueFull) }.count == 20 - 1 - FileCopyProvider.queueLimit)
    #expect(completions.contains(.failed(5, .cancelled(remains: .nothing))))
    #expect(guest.files.count == FileCopyProvider.queueLimit)
  }

  @Test mutating func sourceThatFailsOrShrinks() {
    file = Self.content(200_000)
    ready()
    readsLeft = 1
    provider.copy(request(), id: 1, clock.now)
    _ = run()
    provider.sourceFailed("I/O error", id: 7, clock.now)
    #expect(run().completions.isEmpty, "not this copy")
    provider.sourceFailed("I/O error", id: 1, clock.now)
    #expect(run().completions == [.failed(1, .sourceFailed("I/O error", remains: .removed))])
    readsLeft = .max
    provider.copy(request(size: 300_000), id: 2, clock.now)
    #expect(
      run().completions == [.failed(2, .sourceFailed("the file changed while it was copied", remains: .removed))])
    #expect(guest.files.isEmpty)
  }

  @Test(arguments: kinds) mutating func noReplyThenLateReplyCleansUp(kind: FileCopyGuest.Kind) {
    file = Self.content(50_000)
    ready(kind)
    readsLeft = 0
    provider.copy(request(), id: 1, clock.now)
    _ = run()
    guest.isStopped = true
    provider.supply(file, offset: 0, id: 1, clock.now)
    _ = run()
    provider.copy(request("b"), id: 2, clock.now)
    let effects = provider.run(&clock, seconds: 25)
    #expect(
      effects.completions == [
        .failed(1, .copyInterrupted(reason: .notAnswering, remains: .perhapsPartialFile)),
        .failed(2, .notAnswering(afterMilliseconds: 20_000)),
      ])
    provider.copy(request("b"), id: 3, clock.now)
    #expect(provider.effects().completions == [.failed(3, .notAnswering(afterMilliseconds: 25_000))])
    guest.isStopped = false
    let late = guest.unanswered.map { $0.answer(guest.work($0)) }
    for answer in late { provider.receive(answer, clock) }
    #expect(run().completions.isEmpty)
    #expect(guest.files["/tmp/a"] == (kind == .driver ? nil : []))
    readsLeft = .max
    provider.copy(request("b"), id: 4, clock.now)
    #expect(run().completions == [.ok(4, .copied(50_000))])
  }

  @Test mutating func startUnansweredAndRefusedLate() {
    ready()
    guest.isStopped = true
    provider.copy(request(), id: 1, clock.now)
    _ = run()
    #expect(
      provider.run(&clock, seconds: 25).completions == [
        .failed(1, .copyInterrupted(reason: .notAnswering, remains: .perhapsPartialFile))
      ])
    for packet in guest.unanswered { provider.receive(packet.answer(.failure), clock) }
    #expect(provider.effects().sent.isEmpty, "there is no file to be removed")
    guest.isStopped = false
    provider.copy(request(), id: 2, clock.now)
    #expect(run().completions == [.ok(2, .copied(0))])
  }

  @Test mutating func aGuestThatIsAlwaysLateIsNotCleanedUpForEver() {
    file = Self.content(50_000)
    ready()
    provider.copy(request(), id: 1, clock.now)
    guest.isStopped = true
    _ = run()
    for _ in 0..<20 {
      provider.run(&clock, seconds: 25)
      let packets = guest.unanswered
      guest.unanswered = []
      for packet in packets { provider.receive(packet.answer(), clock) }
      _ = run()
    }
    #expect(guest.unanswered.isEmpty)
    #expect(provider.deadline == nil)
  }

  @Test mutating func closedAtEachPoint() {
    file = Self.content(20_000)
    for step in 0..<8 {
      provider = FileCopyProvider()
      ready()
      provider.copy(request(), id: 1, clock.now)
      provider.copy(request("b"), id: 2, clock.now)
      var completions: [Completion] = []
      for _ in 0..<step {
        let effects = provider.effects()
        completions += effects.completions
        for packet in effects.sent { guest.answer(packet).map { provider.receive($0, clock) } }
        for read in effects.reads { provider.supply(file, offset: read.offset, id: 1, clock.now) }
      }
      provider.channelClosed(clock.now)
      let effects = provider.effects()
      completions += effects.completions
      #expect(effects.sent.isEmpty && effects.reads.isEmpty)
      #expect(Set(completions.map(\.id)) == [1, 2])
      #expect(completions.count == 2)
      ready()
      provider.copy(request("c"), id: 3, clock.now)
      #expect(run().completions == [.ok(3, .copied(20_000))])
    }
  }

  @Test(arguments: [
    ("", "/tmp"), (".", "/tmp"), ("..", "/tmp"), ("a/b", "/tmp"), ("a\0b", "/tmp"), ("a", "tmp"), ("a", ""),
    ("a", "/t\0mp"), (String(repeating: "n", count: 260), "/tmp"), (String(repeating: "ü", count: 130), "/tmp"),
    ("a", "/" + String(repeating: "f", count: 258)),
  ])
  mutating func namesThatCannotBe(name: String, folder: String) {
    ready()
    provider.copy(FileCopyRequest(name: name, folder: folder, size: 0), id: 1, clock.now)
    let effects = run()
    #expect(effects.sent.isEmpty)
    guard case .failure(.invalidRequest) = effects.completions.first?.result else {
      Issue.record("taken")
      return
    }
  }

  @Test(arguments: ["ünï", "файл", "日本", "🔑 key", "with space", "$(x)"])
  mutating func namesOfAllKinds(name: String) {
    file = Self.content(10)
    ready()
    provider.copy(request(name), id: 1, clock.now)
    #expect(run().completions == [.ok(1, .copied(10))])
    #expect(guest.files["/tmp/" + name] == file)
    // The uio daemon would make another name of it.
    provider = FileCopyProvider()
    ready(.uio)
    provider.copy(request(name), id: 2, clock.now)
    let isASCII = name.utf8.allSatisfy { $0 < 0x80 }
    #expect(run().completions == [isASCII ? .ok(2, .copied(10)) : .failed(2, .nameNotSupported)])
  }

  @Test mutating func successBeforeTheLastFragmentIsNoReply() throws {
    file = Self.content(20_000)
    ready()
    provider.copy(request(), id: 1, clock.now)
    var effects = provider.effects()
    var fragments = 0
    var completions: [Completion] = []
    while !effects.all.isEmpty {
      completions += effects.completions
      for packet in effects.sent {
        if packet.read(UInt32.self, at: 28) == 1 { fragments += 1 }
        let answered = guest.answer(packet)
        let answer = try #require(answered)
        // Every answer three times: the copies answer nothing, and move nothing on.
        for _ in 0..<3 { provider.receive(answer, clock) }
      }
      for read in effects.reads { provider.supply(file, offset: read.offset, id: 1, clock.now) }
      effects = provider.effects()
    }
    #expect(fragments == 4)
    #expect(completions == [.ok(1, .copied(20_000))])
    #expect(guest.files["/tmp/a"] == file)
    let faults = provider.counters.faults
    #expect((faults[.unexpectedReply] ?? 0) + (faults[.wrongTransaction] ?? 0) == 12)
  }

  @Test mutating func suppliesThatNobodyAskedFor() {
    file = Self.content(10)
    ready()
    provider.supply([1, 2, 3], offset: 0, id: 9, clock.now)
    readsLeft = 0
    provider.copy(request(), id: 1, clock.now)
    _ = run()
    provider.supply(file, offset: 5, id: 1, clock.now)
    provider.supply(file, offset: 0, id: 2, clock.now)
    #expect(run().sent.isEmpty)
    provider.supply(file, offset: 0, id: 1, clock.now)
    provider.supply(file, offset: 0, id: 1, clock.now)
    #expect(run().completions == [.ok(1, .copied(10))])
  }

  // MARK: Our client

  /// Our guest's machine with files in memory.
  struct ClientGuest {
    var client = FileCopyClient()
    var files: [String: [UInt8]] = [:]
    var name = ""

    mutating func answer(_ packet: Packet) -> Packet? {
      var packet = packet
      do throws(ClientFault) {
        var answer = ClientAnswer.send
        try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in answer = try client.receive(&bytes) }
        guard answer == .later, let request = client.request else { return packet }
        var status = IntegrationStatus.ok
        switch request {
        case .start(let nameOffset, _, let flags, _):
          let units = (0..<260).map { packet.read(UInt16.self, at: nameOffset + 2 * $0) }.prefix { $0 != 0 }
          name = String(decoding: units, as: UTF16.self)
          if name == "." || (files[name] != nil && !flags.contains(.overwrite)) {
            status = .fileExists
          } else {
            files[name] = []
          }
        case .write(_, let count, let dataOffset):
          files[name]?.append(contentsOf: packet.bytes[dataOffset..<dataOffset + count])
        case .complete: break
        case .cancel: files[name] = nil
        }
        try packet.change { (bytes: inout MutableRawSpan) throws(ClientFault) in
          try client.answer(status, in: &bytes)
        }
        return packet
      } catch {
        return nil
      }
    }
  }

  @Test mutating func withOurClient() {
    file = Self.content(20_000)
    var guest = ClientGuest()
    provider.channelOpened(clock.now)
    var completions: [Completion] = []
    func exchange(cancelAfter: Int = .max) {
      var rounds = 0
      while true {
        rounds += 1
        if rounds == cancelAfter { provider.cancel(id: 3, clock.now) }
        let effects = provider.effects()
        if effects.all.isEmpty { return }
        completions += effects.completions
        for packet in effects.sent { guest.answer(packet).map { provider.receive($0, clock) } }
        for read in effects.reads {
          provider.supply(file, offset: read.offset, id: ServiceRequestID(rawValue: read.id), clock.now)
        }
      }
    }
    exchange()
    #expect(!provider.isUIODaemon)
    provider.copy(request("ü"), id: 1, clock.now)
    provider.copy(request("ü"), id: 2, clock.now)
    exchange()
    provider.copy(request("ü", overwrite: true), id: 3, clock.now)
    exchange(cancelAfter: 4)
    #expect(
      completions == [.ok(1, .copied(20_000)), .failed(2, .fileExists), .failed(3, .cancelled(remains: .removed))])
    #expect(guest.files.isEmpty)
    #expect(guest.client.link.faults == 0)
  }

  @Test mutating func hostileHostAgainstOurClient() throws {
    file = Self.content(20_000)
    var guest = ClientGuest()
    provider.channelOpened(clock.now)
    _ = provider.exchange(clock) { guest.answer($0) }
    provider.copy(request("a"), id: 1, clock.now)
    let start = try #require(provider.effects().sent.first)
    func status(_ packet: Packet) -> UInt32? { guest.answer(packet)?.read(UInt32.self, at: 20) }
    // Names and folders that lead elsewhere, and a size that no file has.
    for (text, offset) in [("a/b", 64), ("", 64), ("tmp", 584), ("/a/../b", 584), ("/..", 584), ("", 584)] {
      var hostile = start
      for (index, unit) in (Array(text.utf16) + [0]).enumerated() { hostile.write(unit, at: offset + 2 * index) }
      #expect(status(hostile) == IntegrationStatus.invalidArgument.rawValue, "\(text)")
    }
    var hostile = start
    hostile.write(UInt64(1) << 63, at: 1108)
    #expect(status(hostile) == IntegrationStatus.invalidArgument.rawValue)
    hostile = start
    for index in 0..<260 { hostile.write(UInt16(0x61), at: 64 + 2 * index) }
    #expect(status(hostile) == IntegrationStatus.invalidArgument.rawValue, "no terminator")
    // Fragments without a start, backwards, beyond the size, larger than their field.
    provider.receive(start.answer(), clock)
    for read in provider.effects().reads { provider.supply(file, offset: read.offset, id: 1, clock.now) }
    let write = try #require(provider.effects().sent.first)
    #expect(status(write) == IntegrationStatus.failure.rawValue)
    #expect(status(start) == 0)
    for (offset, count) in [(1, 10), (UInt64.max, 10), (0, 6145), (0, 0xFFFF_FFFF)] as [(UInt64, UInt32)] {
      var bad = write
      bad.write(offset, at: 68)
      bad.write(count, at: 76)
      #expect(status(bad) != 0)
    }
    var complete = start
    complete.write(UInt32(2), at: 28)
    #expect(status(complete) == IntegrationStatus.failure.rawValue, "not all bytes are there")
    #expect(status(write) == 0)
    #expect(status(write) == IntegrationStatus.failure.rawValue, "the same fragment again")
    #expect(guest.files["a"]?.count == 6144)
    var unknown = start
    unknown.write(UInt32(9), at: 28)
    #expect(status(unknown) == IntegrationStatus.invalidArgument.rawValue)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization
import Testing

@testable import VirtualSwitch

/// Threads that send at once: what each of them may rely on, and what nobody may see.
@Suite struct ManySendersTests {
  /// Notes which sender brought which number, in the order of their coming.
  private final class Notes: SwitchPortSink {
    struct Note: Sendable {
      let sender: Int
      let flow: UInt8
      let number: UInt32
    }
    let notes = Mutex<[Note]>([])
    let bursts = Atomic(0)

    func accept(_ frame: FrameView, from sender: Int) -> Bool {
      let bytes = frame.bytes
      guard bytes.count >= 19 else { return false }
      let number = bytes[15..<19].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      notes.withLock { $0.append(Note(sender: sender, flow: bytes[14], number: number)) }
      return true
    }

    func endBurst(from sender: Int) { bursts.add(1, ordering: .relaxed) }
  }

  private static func payload(_ flow: UInt8, _ number: Int) -> [UInt8] {
    [flow] + (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } + [UInt8](repeating: 0, count: 60)
  }

  /// Two senders at one port and two at ports of their own, one of them a port that is learned from, to two receivers.
  @Test func keepTheirOrderAndAreCounted() throws {
    let engine = SwitchEngine(name: "busy")
    defer { engine.stop() }
    let sinks = [Notes(), Notes()]
    for number in 0..<2 {
      _ = try engine.connect(
        "receiver\(number)", PortSettings(address: Frames.address(UInt8(number + 1))), sink: sinks[number])
    }
    let shared = try engine.connect("shared", PortSettings(address: Frames.address(10)), sink: Notes())
    let own = try engine.connect("own", PortSettings(address: Frames.address(11)), sink: Notes())
    let learned = try engine.connect("learned", PortSettings(allowsSpoofing: true), sink: Notes())
    let count = 5000
    var threads: [DedicatedThread] = []
    for (flow, port, source) in [(0, shared, 10), (1, shared, 10), (2, own, 11), (3, learned, 12)]
      as [(
        UInt8, any SwitchConnection, UInt8
      )]
    {
      threads.append(
        try DedicatedThread(name: "sender") {
          let sender = port.makeSender()
          for number in 0..<count {
            let target = Frames.address(UInt8(number % 2 + 1))
            let frame = Frames.ethernet(
              to: target, from: Frames.address(source), payload: Self.payload(flow, number))
            FrameView.with(frame) { _ = sender.send($0) }
            if number % 16 == 15 { sender.flush() }
          }
          sender.flush()
        })
    }
    for thread in threads { thread.join() }
    for (place, sink) in sinks.enumerated() {
      let notes = sink.notes.withLock { $0 }
      #expect(notes.count == 2 * count)
      for flow in UInt8(0)..<4 {
        let own = notes.filter { $0.flow == flow }
        #expect(own.map(\.number) == (0..<count / 2).map { UInt32(2 * $0 + place) })
        #expect(Set(own.map(\.sender)).count == 1)
      }
      #expect(Set(notes.map(\.sender)).count == 4)
      #expect(sink.bursts.load(ordering: .relaxed) >= 4)
    }
    let counters = Dictionary(uniqueKeysWithValues: engine.ports().map { ($0.name, $0.counters) })
    #expect(counters["shared"]?.receivedFrames == UInt64(2 * count))
    #expect(counters["own"]?.receivedFrames == UInt64(count))
    #expect(counters["learned"]?.receivedFrames == UInt64(count))
    #expect(counters["receiver0"]?.sentFrames == UInt64(2 * count))
    #expect(counters["receiver1"]?.sentFrames == UInt64(2 * count))
    #expect(engine.checkInvariants())
  }

  /// What a sender found a moment ago is not believed when somebody has learned something else meanwhile.
  @Test func anAddressThatMovesIsFollowedAtOnce() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    let collectors = [Collector(), Collector(), Collector()]
    let ports = try collectors.enumerated().map { number, collector in
      try engine.connect("port\(number)", PortSettings(allowsSpoofing: true), sink: collector)
    }
    let senders = ports.map { $0.makeSender() }
    let (here, away) = (Frames.address(1), Frames.address(2))
    func send(_ sender: Int, to target: MACAddress, from source: MACAddress) {
      FrameView.with(Frames.ethernet(to: target, from: source)) { _ = senders[sender].send($0) }
    }
    for place in [1, 2, 1, 2] {
      let before = collectors.map(\.arrivals.count)
      send(place, to: here, from: away)
      send(0, to: away, from: here)
      send(0, to: away, from: here)
      let got = zip(collectors, before).map { $0.arrivals.count - $1 }
      #expect(got[place] == 2)
      #expect(got[3 - place] <= (before[0] == 0 ? 1 : 0))
    }
    // Forgotten with the port's settings: to everybody, until it shows itself again.
    try ports[2].set(PortSettings(allowsSpoofing: true))
    let before = collectors.map(\.arrivals.count)
    send(0, to: away, from: here)
    #expect(zip(collectors, before).map { $0.arrivals.count - $1 } == [0, 1, 1])
    ports[2].disconnect()
    send(0, to: away, from: here)
    #expect(zip(collectors, before).map { $0.arrivals.count - $1 } == [0, 2, 1])
  }

  @Test func anAddressInUseIsNotForgotten() {
    let table = AddressTable(seed: 3)
    var book = SenderBook(table)
    let second: UInt64 = 1_000_000_000
    let (address, port) = (Frames.address(1), PortID(rawValue: 3))
    for time in stride(from: UInt64(0), through: 1000 * second, by: Int(second / 4)) {
      let hasRoom = book.learn(address, in: .none, at: port, now: time)
      #expect(hasRoom)
    }
    let ages = table.withLock { $0.all(now: 1000 * second) }.map(\.age)
    #expect(ages.allSatisfy { $0 <= second } && ages.count == 1)
    var other = SenderBook(table)
    let found = [
      other.find(address, in: .none, now: 1000 * second),
      other.find(address, in: VLANID(rawValue: 5), now: 1000 * second),
      other.find(address, in: .none, now: 1302 * second),
    ]
    #expect(found == [port, nil, nil])
  }

  /// What senders have counted stays when they go, and their places are used again.
  @Test func sendersComeAndGo() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    let notes = Notes()
    _ = try engine.connect("receiver", PortSettings(address: Frames.address(2)), sink: notes)
    let port = try engine.connect("sender", PortSettings(address: Frames.address(1)), sink: Notes())
    for number in 0..<300 {
      let sender = port.makeSender()
      let frame = Frames.ethernet(
        to: Frames.address(2), from: Frames.address(1), payload: Self.payload(0, number))
      FrameView.with(frame) { _ = sender.send($0) }
      sender.flush()
      // Any change takes those that are gone away.
      if number % 10 == 9 { port.set(PortCapabilities(tagsOutOfBand: number % 20 == 9)) }
    }
    let seen = notes.notes.withLock { $0.map(\.sender) }
    #expect(seen.count == 300)
    #expect((seen.max() ?? 300) <= 10)
    #expect(engine.ports().first { $0.name == "sender" }?.counters.receivedFrames == 300)
    // The port's next owner begins with nothing.
    port.disconnect()
    _ = try engine.connect("sender", PortSettings(address: Frames.address(1)), sink: Notes())
    #expect(engine.ports().first { $0.name == "sender" }?.counters.receivedFrames == 0)
  }

  /// Nobody reads while the value changes, and a change waits for nobody for long.
  @Test func readersAndWriters() throws {
    struct Pair: ~Copyable {
      var first = 0
      var second = 0
      var retired = 0
    }
    let locked = ReaderLocked<Pair, Int>(Pair()) { $0.retired += $1 }
    let stop = SharedFlag()
    let torn = Atomic(0)
    var threads: [DedicatedThread] = []
    for _ in 0..<4 {
      threads.append(
        try DedicatedThread(name: "reader") {
          let reader = locked.makeReader(0)
          while !stop.value {
            locked.read(reader) { pair, own in
              if pair.first != pair.second { torn.add(1, ordering: .relaxed) }
              own += 1
            }
          }
          reader.leave()
        })
    }
    var seen = 0
    for round in 1...2000 {
      let now = locked.write { pair, owns in
        pair.first = round
        var sum = pair.retired
        owns.forEach { sum += $0 }
        pair.second = round
        return sum
      }
      #expect(now >= seen)
      seen = now
    }
    stop.set()
    for thread in threads { thread.join() }
    #expect(torn.load(ordering: .relaxed) == 0)
    let (retired, left) = locked.write { pair, owns in
      var left = 0
      owns.forEach { _ in left += 1 }
      return (pair.retired, left)
    }
    #expect(retired >= seen && left == 0)
  }
}

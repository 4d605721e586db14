// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Synchronization
import TestSupport
import Testing

@testable import VirtualSwitch

@Suite struct EngineTests {
  let a = Frames.address(1)
  let b = Frames.address(2)

  @Test func adaptersMeet() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    let (first, second) = (Collector(), Collector())
    let one = try engine.connect("one", PortSettings(address: a), sink: first)
    let two = try engine.connect("two", PortSettings(address: b), sink: second)
    let sender = one.makeSender()
    let frame = Frames.ethernet(to: b, from: a)
    for _ in 0..<3 { #expect(FrameView.with(frame) { sender.send($0) }) }
    sender.flush()
    #expect(second.frames == [frame, frame, frame])
    #expect(second.bursts == 1)
    #expect(first.frames.isEmpty)
    #expect(throws: SwitchError.nameTaken("one")) { try engine.connect("one", PortSettings(), sink: first) }
    #expect(throws: SwitchError.addressTaken(a, by: "one")) {
      try engine.connect("three", PortSettings(address: a), sink: first)
    }
    let reports = engine.ports()
    #expect(reports.map(\.name) == ["one", "two"])
    #expect(reports[0].counters.receivedFrames == 3)
    #expect(reports[1].counters.sentFrames == 3)
    second.setFull(true)
    FrameView.with(frame) { _ = sender.send($0) }
    #expect(engine.ports()[1].counters.dropped(.noRoom) == 1)
    #expect(engine.ports()[1].counters.sentFrames == 3)
    two.disconnect()
    second.setFull(false)
    #expect(!FrameView.with(frame) { sender.send($0) })
    #expect(second.frames.count == 3)
    #expect(throws: SwitchError.closed) { try two.set(PortSettings()) }
    // The place is another's now: the old connection must not touch it.
    let three = try engine.connect("three", PortSettings(address: b), sink: second)
    two.disconnect()
    #expect(three.isUp)
    one.disconnect()
    #expect(!FrameView.with(frame) { sender.send($0) })
  }

  /// A frame in many pieces, as a guest's memory has it, through every change of its tag.
  @Test func piecesStayInOrder() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    let trunk = VLANMode.trunk(allowed: .all, native: .none)
    let tagged = Collector()
    let beside = Collector()
    let plain = Collector()
    let sending = try engine.connect("sender", PortSettings(vlan: trunk, allowsSpoofing: true), sink: Collector())
    _ = try engine.connect("tagged", PortSettings(vlan: trunk, allowsSpoofing: true), sink: tagged)
    _ = try engine.connect(
      "beside", PortSettings(vlan: trunk, allowsSpoofing: true),
      capabilities: PortCapabilities(tagsOutOfBand: true), sink: beside)
    _ = try engine.connect(
      "plain", PortSettings(vlan: .access(VLANID(rawValue: 7)), allowsSpoofing: true), sink: plain)
    let sender = sending.makeSender()
    let payload = (0..<900).map { UInt8(truncatingIfNeeded: $0) }
    let untagged = Frames.ethernet(to: .broadcast, from: a, payload: payload)
    let inBytes = Frames.ethernet(to: .broadcast, from: a, tags: [0x6007], payload: payload)
    for (frame, tag) in [(inBytes, nil), (untagged, VLANTag(rawValue: 0x6007))] as [([UInt8], VLANTag?)] {
      var parts: [[UInt8]] = [Array(frame[..<128])]
      for start in stride(from: 128, to: frame.count, by: 100) {
        parts.append(Array(frame[start..<min(start + 100, frame.count)]))
      }
      let copies = unsafe parts.map { part in
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: part.count, alignment: 1)
        unsafe room.copyBytes(from: part)
        return unsafe room
      }
      defer { for index in unsafe copies.indices { unsafe copies[index].deallocate() } }
      let pieces = unsafe copies.map { unsafe iovec(iov_base: $0.baseAddress, iov_len: $0.count) }
      unsafe pieces.withUnsafeBufferPointer { pieces in
        _ = unsafe sender.send(FrameView(pieces: pieces, byteCount: frame.count, tag: tag))
      }
    }
    #expect(tagged.frames == [inBytes, inBytes])
    #expect(beside.frames == [untagged, untagged])
    #expect(beside.arrivals.allSatisfy { $0.tag?.rawValue == 0x6007 })
    #expect(plain.frames == [untagged, untagged])
  }

  @Test func doesWhatAReceiverCannot() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    let able = Collector()
    let plain = Collector()
    let sending = try engine.connect("sender", PortSettings(allowsSpoofing: true), sink: Collector())
    _ = try engine.connect(
      "able", PortSettings(allowsSpoofing: true),
      capabilities: PortCapabilities(unfinishedChecksums: true, tcp4Segmentation: true), sink: able)
    _ = try engine.connect("plain", PortSettings(allowsSpoofing: true), sink: plain)
    var frame = Frames.ethernet(
      to: .broadcast, from: a, type: 0x0800,
      payload: Frames.ip4(6, Frames.tcp([UInt8](repeating: 3, count: 10_000))))
    let count = frame.count
    let checksum = unsafe frame.withUnsafeMutableBytes { unsafe ChecksumCompletion.prepare($0, byteCount: count) }
    let offloads = FrameOffloads(
      checksum: try #require(checksum), segmentation: .tcp4(ecn: false), segmentSize: 1448, headerLength: 66)
    let sender = sending.makeSender()
    #expect(FrameView.with(frame, offloads: offloads) { sender.send($0) })
    #expect(able.arrivals == [Collector.Arrival(bytes: frame, tag: nil, offloads: offloads)])
    #expect(plain.arrivals.count == 7)
    #expect(plain.frames.allSatisfy(Frames.isSound))
  }

  /// Threads that send while ports come, change and go.
  @Test func portsComeAndGoUnderTraffic() throws {
    let engine = SwitchEngine(name: "busy")
    defer { engine.stop() }
    let stop = SharedFlag()
    let steady = Collector()
    _ = try engine.connect("steady", PortSettings(address: b), sink: steady)
    var threads: [DedicatedThread] = []
    for number in UInt8(10)...11 {
      let port = try engine.connect("sender\(number)", PortSettings(address: Frames.address(number)), sink: Collector())
      threads.append(
        try DedicatedThread(name: "sender") {
          let sender = port.makeSender()
          let toB = Frames.ethernet(to: Frames.address(2), from: Frames.address(number))
          let toAll = Frames.ethernet(to: .broadcast, from: Frames.address(number))
          while !stop.value {
            FrameView.with(toB) { _ = sender.send($0) }
            FrameView.with(toAll) { _ = sender.send($0) }
            sender.flush()
            usleep(100)
          }
        })
    }
    for round in 0..<200 {
      let guest = try engine.connect("guest", PortSettings(allowsSpoofing: true), sink: Collector())
      try guest.set(PortSettings(vlan: .access(VLANID(rawValue: UInt16(round % 10 + 1))), allowsSpoofing: true))
      guest.disconnect()
      usleep(200)
    }
    stop.set()
    for thread in threads { thread.join() }
    #expect(threads.count == 2)
    let toB = steady.frames.filter { Array($0[..<6]) == Frames.bytes(b) }.count
    let received = engine.ports().filter { $0.name.hasPrefix("sender") }.reduce(0) { $0 + $1.counters.receivedFrames }
    #expect(UInt64(toB) == received / 2)
    #expect(toB > 0)
    #expect(engine.checkInvariants())
  }

  // MARK: Over the socket

  @Test func processesAttach() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let path = folder["ports.sock"]
    let engine = SwitchEngine(name: "office")
    try engine.listen(at: path)
    let (local, first, second) = (Collector(), Collector(), Collector())
    let own = try engine.connect("own", PortSettings(vlan: .access(VLANID(rawValue: 5)), address: a), sink: local)
    let one = try RemotePort(
      switchAt: path, name: "vm1", PortSettings(vlan: .access(VLANID(rawValue: 5)), address: b), sink: first)
    let two = try RemotePort(
      switchAt: path, name: "vm2", .uplink(), capabilities: PortCapabilities(tagsOutOfBand: true), sink: second)
    #expect(engine.ports().map(\.name) == ["own", "vm1", "vm2"])
    let sender = own.makeSender()
    let frame = Frames.ethernet(to: .broadcast, from: a)
    FrameView.with(frame) { _ = sender.send($0) }
    sender.flush()
    #expect(first.wait(for: 1) == [Collector.Arrival(bytes: frame, tag: nil, offloads: .none)])
    #expect(second.wait(for: 1) == [Collector.Arrival(bytes: frame, tag: VLANTag(rawValue: 5), offloads: .none)])
    // Back, and with what it may not say.
    let back = one.makeSender()
    let answer = Frames.ethernet(to: a, from: b)
    FrameView.with(Frames.ethernet(to: a, from: Frames.address(9))) { _ = back.send($0) }
    FrameView.with(answer) { _ = back.send($0) }
    #expect(local.wait(for: 1).map(\.bytes) == [answer])
    #expect(engine.ports()[1].counters.dropped(.spoofed) == 1)
    // The largest frame there is.
    try two.set(.uplink(maximumPayload: 65_521))
    try own.set(PortSettings(vlan: .access(VLANID(rawValue: 5)), address: a, maximumPayload: 65_521))
    let large = Frames.ethernet(to: a, from: Frames.address(9), payload: [UInt8](repeating: 1, count: 65_521))
    let tagged = two.makeSender()
    #expect(FrameView.with(large, tag: VLANTag(rawValue: 5)) { tagged.send($0) })
    #expect(local.wait(for: 2).last?.bytes == large)
    // Settings are the switch's: it says no, and it enforces.
    #expect(throws: SwitchError.self) { try one.set(PortSettings(address: a)) }
    try one.set(PortSettings(vlan: .access(VLANID(rawValue: 6)), address: b))
    FrameView.with(answer) { _ = back.send($0) }
    FrameView.with(frame) { _ = sender.send($0) }
    #expect(second.wait(for: 3).count == 3)
    #expect(first.arrivals.count == 1)
    // Names and addresses are taken.
    #expect(throws: SwitchError.self) { try RemotePort(switchAt: path, name: "vm1", .uplink(), sink: Collector()) }
    #expect(throws: SwitchError.self) {
      try RemotePort(switchAt: path, name: "vm3", PortSettings(address: b), sink: Collector())
    }
    one.disconnect()
    #expect(eventually { engine.ports().map(\.name) == ["own", "vm2"] })
    two.disconnect()
    engine.stop()
    #expect(throws: SwitchError.noSwitch(path)) {
      try RemotePort(switchAt: path, name: "vm4", .uplink(), sink: Collector())
    }
  }

  @Test func aSwitchThatComesBack() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let path = folder["ports.sock"]
    let first = SwitchEngine(name: "office")
    try first.listen(at: path)
    let collector = Collector()
    let port = try RemotePort(switchAt: path, name: "vm", PortSettings(address: b), sink: collector)
    #expect(port.isUp)
    first.stop()
    #expect(eventually { !port.isUp })
    #expect(!FrameView.with(Frames.ethernet(to: a, from: b)) { port.makeSender().send($0) })
    let second = SwitchEngine(name: "office")
    try second.listen(at: path)
    #expect(eventually { port.isUp })
    let own = try second.connect("own", PortSettings(address: a), sink: Collector())
    FrameView.with(Frames.ethernet(to: b, from: a)) { _ = own.makeSender().send($0) }
    #expect(collector.wait(for: 1).count == 1)
    port.disconnect()
    second.stop()
  }

  @Test func switchesInARow() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let path = folder["ports.sock"]
    let (near, far) = (SwitchEngine(name: "near"), SwitchEngine(name: "far"))
    try far.listen(at: path)
    try near.add(.socket(path, name: "near"), named: "uplink")
    let (left, right) = (Collector(), Collector())
    let ten = VLANMode.access(VLANID(rawValue: 10))
    let one = try near.connect("one", PortSettings(vlan: ten, address: a), sink: left)
    let two = try far.connect("two", PortSettings(vlan: ten, address: b), sink: right)
    let other = Collector()
    _ = try far.connect("three", PortSettings(address: Frames.address(3)), sink: other)
    FrameView.with(Frames.ethernet(to: b, from: a)) { _ = one.makeSender().send($0) }
    #expect(right.wait(for: 1).map(\.bytes) == [Frames.ethernet(to: b, from: a)])
    FrameView.with(Frames.ethernet(to: .broadcast, from: b)) { _ = two.makeSender().send($0) }
    #expect(left.wait(for: 1).map(\.bytes) == [Frames.ethernet(to: .broadcast, from: b)])
    #expect(other.arrivals.isEmpty)
    near.stop()
    far.stop()
  }

  /// Peers that say anything at all; the switch goes on for the others.
  @Test func hostilePeers() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let path = folder["ports.sock"]
    let engine = SwitchEngine(name: "office")
    try engine.listen(at: path)
    let collector = Collector()
    let good = try RemotePort(switchAt: path, name: "good", PortSettings(address: b), sink: collector)
    var random = SwitchWalkTests.Random(state: 5)
    let sound = RemoteMessage.request(
      PortRequest(name: "bad", settings: PortSettings(allowsSpoofing: true), capabilities: .none))
    for round in 0..<40 {
      let socket = unsafe clinux_messages_connect(path)
      guard socket >= 0 else {
        Issue.record("no connection in round \(round)")
        continue
      }
      if round % 2 == 0 { Self.send(socket, sound) }
      for _ in 0..<30 {
        var message = (0..<Int.random(in: 0..<200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random)
        }
        if round % 4 == 0, message.count > 16 {
          message.replaceSubrange(0..<16, with: [UInt8(1), 0] + [UInt8](repeating: 0, count: 14))
        }
        Self.send(socket, message)
      }
      if round == 7 { Self.send(socket, [UInt8](repeating: 1, count: 150_000)) }
      close(socket)
    }
    let own = try engine.connect("own", PortSettings(address: a), sink: Collector())
    FrameView.with(Frames.ethernet(to: b, from: a)) { _ = own.makeSender().send($0) }
    #expect(collector.wait(for: 1) { $0.bytes == Frames.ethernet(to: b, from: a) }.count == 1)
    #expect(good.isUp)
    #expect(eventually { engine.ports().map(\.name).sorted() == ["good", "own"] })
    good.disconnect()
    engine.stop()
  }

  private static func send(_ socket: Int32, _ message: [UInt8]) {
    unsafe message.withUnsafeBytes { bytes in
      var piece = unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
      _ = unsafe clinux_send(socket, &piece, 1)
    }
  }

  /// A process that stops reading: its frames are dropped and counted, and the others' are not.
  @Test func aPeerThatStopsReading() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let path = folder["ports.sock"]
    let engine = SwitchEngine(name: "office")
    try engine.listen(at: path)
    let socket = unsafe clinux_messages_connect(path)
    #expect(socket >= 0)
    Self.send(
      socket,
      RemoteMessage.request(
        PortRequest(name: "deaf", settings: PortSettings(allowsSpoofing: true), capabilities: .none)))
    #expect(eventually { engine.ports().count == 1 })
    let collector = Collector()
    _ = try engine.connect("other", PortSettings(allowsSpoofing: true), sink: collector)
    let own = try engine.connect("own", PortSettings(address: a), sink: Collector())
    let sender = own.makeSender()
    let frame = Frames.ethernet(to: .broadcast, from: a, payload: [UInt8](repeating: 0, count: 1500))
    for _ in 0..<10_000 { FrameView.with(frame) { _ = sender.send($0) } }
    #expect(collector.arrivals.count == 10_000)
    let deaf = try #require(engine.ports().first { $0.name == "deaf" })
    #expect(deaf.counters.dropped(.noRoom) > 0)
    #expect(deaf.counters.sentFrames + deaf.counters.dropped(.noRoom) == 10_000)
    close(socket)
    #expect(eventually { engine.ports().count == 2 })
    engine.stop()
  }

  @Test func requestsGoRound() {
    var random = SwitchWalkTests.Random(state: 3)
    for number in 0..<200 {
      let request = PortRequest(
        name: "port\(number)", settings: SwitchWalkTests.settings(&random),
        capabilities: PortCapabilities(
          tagsOutOfBand: Bool.random(using: &random), unfinishedChecksums: Bool.random(using: &random),
          tcp4Segmentation: Bool.random(using: &random), tcp6Segmentation: Bool.random(using: &random),
          udpSegmentation: Bool.random(using: &random)))
      let bytes = request.encoded
      #expect(bytes.count == PortRequest.wireSize)
      #expect(PortRequest(decoding: bytes) == request)
      #expect(PortRequest(decoding: Array(bytes.dropLast())) == nil)
    }
  }
}

/// Says to threads that it is time to end.
struct SharedFlag: Sendable {
  private final class Box: Sendable { let value = Atomic(false) }
  private let box = Box()
  var value: Bool { box.value.load(ordering: .relaxed) }
  func set() { box.value.store(true, ordering: .relaxed) }
}

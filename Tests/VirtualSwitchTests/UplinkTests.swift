// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem
import Testing

@testable import VirtualSwitch

/// With real devices of the host. Where there are none, or no right to make them, the tests say so and are skipped.
@Suite(.serialized) struct UplinkTests {
  let a = Frames.address(1)

  /// Whether TAP devices can be made here.
  static let hasTAP: Bool = {
    let number = unsafe clinux_tap_open("listest0", 1, 0)
    if number >= 0 { close(number) }
    return number >= 0
  }()
  static let noTAP = Comment(rawValue: "/dev/net/tun is missing, or this user may not make TAP devices")
  static let ip = PasstDriver.find("ip")
  static let noIP = Comment(rawValue: "the program ip is missing")
  static let noPasst = Comment(rawValue: "passt is not installed")

  @Test(.enabled(if: hasTAP, noTAP))
  func errorsOfTAP() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    #expect(throws: SwitchError.noSuchInterface("listest9")) { try engine.add(.tap("listest9"), named: "uplink") }
    #expect(throws: SwitchError.notATAP("lo")) { try engine.add(.tap("lo"), named: "uplink") }
    #expect(throws: SwitchError.noSuchInterface("")) { try engine.add(.tap(""), named: "uplink") }
    #expect(throws: SwitchError.noSuchInterface("a-name-that-is-too-long")) {
      try engine.add(.tap("a-name-that-is-too-long"), named: "uplink")
    }
    #expect(engine.ports().isEmpty)
    let other = SwitchEngine(name: "other")
    defer { other.stop() }
    try other.add(.tap("listest1", creates: true), named: "uplink")
    #expect(throws: SwitchError.interfaceBusy("listest1")) { try engine.add(.tap("listest1"), named: "uplink") }
    #expect(throws: SwitchError.nameTaken("uplink")) {
      try other.add(.tap("listest2", creates: true), named: "uplink")
    }
    #expect(unsafe clinux_interface_index("listest2") < 0)
    other.stop()
    #expect(unsafe clinux_interface_index("listest1") < 0)
  }

  /// Two switches, each with the TAP device of its own, and the host's bridge (here: a packet socket) between them.
  @Test(.enabled(if: hasTAP, noTAP), arguments: [1, 4])
  func framesThroughTAP(_ queues: Int) throws {
    let inside = SwitchEngine(name: "inside")
    let outside = SwitchEngine(name: "outside")
    defer {
      inside.stop()
      outside.stop()
    }
    try inside.add(.tap("listest0", queues: queues, creates: true), named: "tap")
    // Sees the device from the host's side.
    try outside.add(.interface("listest0"), named: "wire")
    let (left, right) = (Collector(), Collector())
    let ten = VLANMode.access(VLANID(rawValue: 10))
    let one = try inside.connect("one", PortSettings(vlan: ten, address: a), sink: left)
    let two = try outside.connect(
      "two", PortSettings(vlan: .trunk(allowed: .all, native: .none), address: Frames.address(2)), sink: right)
    let out = Frames.ethernet(to: Frames.address(2), from: a, payload: [UInt8](repeating: 9, count: 1500))
    let tagged = Frames.ethernet(
      to: Frames.address(2), from: a, tags: [10], payload: [UInt8](repeating: 9, count: 1500))
    let sender = one.makeSender()
    for _ in 0..<20 { FrameView.with(out) { _ = sender.send($0) } }
    #expect(right.wait(for: 20) { $0.bytes == tagged }.count == 20)
    let back = Frames.ethernet(to: a, from: Frames.address(2))
    let sending = two.makeSender()
    for _ in 0..<20 {
      FrameView.with(Frames.ethernet(to: a, from: Frames.address(2), tags: [10])) { _ = sending.send($0) }
    }
    #expect(left.wait(for: 20) { $0.bytes == back }.count == 20)
  }

  /// A large frame with an unfinished checksum goes through the kernel as it is.
  @Test(.enabled(if: hasTAP, noTAP))
  func offloadsThroughTAP() throws {
    let inside = SwitchEngine(name: "inside")
    let outside = SwitchEngine(name: "outside")
    defer {
      inside.stop()
      outside.stop()
    }
    try inside.add(.tap("listest0", creates: true), named: "tap")
    try outside.add(.interface("listest0"), named: "wire")
    let right = Collector()
    let able = PortCapabilities(unfinishedChecksums: true, tcp4Segmentation: true)
    let one = try inside.connect("one", PortSettings(address: a), sink: Collector())
    _ = try outside.connect("two", PortSettings(address: Frames.address(2)), capabilities: able, sink: right)
    var frame = Frames.ethernet(
      to: Frames.address(2), from: a, type: 0x0800,
      payload: Frames.ip4(6, Frames.tcp([UInt8](repeating: 3, count: 30_000))))
    let count = frame.count
    let checksum = unsafe frame.withUnsafeMutableBytes { unsafe ChecksumCompletion.prepare($0, byteCount: count) }
    let offloads = FrameOffloads(
      checksum: try #require(checksum), segmentation: .tcp4(ecn: false), segmentSize: 1448, headerLength: 66)
    #expect(FrameView.with(frame, offloads: offloads) { one.makeSender().send($0) })
    let arrived = right.wait(for: 1) { $0.bytes == frame }
    #expect(arrived.first?.offloads.segmentation == .tcp4(ecn: false))
    #expect(arrived.first?.offloads.segmentSize == 1448)
    #expect(arrived.first?.offloads.checksum == .needed(start: 34, offset: 16))
  }

  /// A device that is taken away: the port's link goes down; it comes back with the device.
  @Test(.enabled(if: hasTAP && ip != nil, noTAP))
  func aDeviceThatGoesAndComes() throws {
    let ip = try #require(Self.ip)
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    try Command.run(ip, ["tuntap", "add", "listest3", "mode", "tap", "multi_queue"])
    defer { _ = try? Command.run(ip, ["link", "del", "listest3"]) }
    try Command.run(ip, ["link", "set", "listest3", "up"])
    try engine.add(.tap("listest3", queues: 2), named: "uplink")
    #expect(engine.ports()[0].isUp)
    try Command.run(ip, ["link", "del", "listest3"])
    #expect(eventually { !engine.ports()[0].isUp })
    try Command.run(ip, ["tuntap", "add", "listest3", "mode", "tap", "multi_queue"])
    try Command.run(ip, ["link", "set", "listest3", "up"])
    #expect(eventually { engine.ports()[0].isUp })
    try engine.removeUplink("uplink")
    #expect(throws: SwitchError.noSuchPort("uplink")) { try engine.removeUplink("uplink") }
    #expect(engine.ports().isEmpty)
  }

  @Test func errorsOfInterfaces() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    #expect(throws: SwitchError.noSuchInterface("listest9")) { try engine.add(.interface("listest9"), named: "wire") }
    #expect(engine.ports().isEmpty)
  }

  // MARK: passt

  @Test func missingPasst() throws {
    let driver = PasstDriver([], payload: 1500, program: "/nowhere/passt")
    #expect(throws: SwitchError.noPasst("/nowhere/passt")) { try driver.open() }
    #expect(SwitchError.noPasst("passt").remedy?.contains("install") == true)
  }

  @Test(.enabled(if: PasstDriver.find("passt") != nil, noPasst))
  func passtGivesAnAddress() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    try engine.add(.passt([]), named: "nat")
    let collector = Collector()
    let port = try engine.connect("vm", PortSettings(address: a), sink: collector)
    // DHCPDISCOVER (RFC 2131).
    var packet: [UInt8] = [1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0] + [UInt8](repeating: 0, count: 16)
    packet += Frames.bytes(a) + [UInt8](repeating: 0, count: 10 + 192) + [99, 130, 83, 99, 53, 1, 1, 255]
    let frame = Frames.ethernet(
      to: .broadcast, from: a, type: 0x0800,
      payload: Frames.ip4(
        17, Frames.udp(packet, from: 68, to: 67), source: [0, 0, 0, 0], target: [255, 255, 255, 255]))
    FrameView.with(frame) { _ = port.makeSender().send($0) }
    let offers = collector.wait(for: 1) { $0.bytes.count > 280 && $0.bytes[23] == 17 && $0.bytes[35] == 67 }
    // BOOTREPLY with our transaction.
    #expect(offers.first.map { Array($0.bytes[42..<50]) } == [2, 1, 6, 0, 1, 2, 3, 4])
  }

  @Test(.enabled(if: PasstDriver.find("passt") != nil, noPasst))
  func passtThatCannotStart() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    let address = PortForwarding(.tcp, address: "203.0.113.77", hostPort: 40_001, guestPort: 80)
    #expect(throws: SwitchError.self) { try engine.add(.passt([address]), named: "nat") }
    #expect(engine.ports().isEmpty)
  }

  @Test func framesOfAStream() {
    func taken(_ bytes: [UInt8]) -> (used: Int?, frames: [[UInt8]]) {
      var frames: [[UInt8]] = []
      let used = unsafe bytes.withUnsafeBytes { unsafe StreamFrames.take($0) { frames.append($0.bytes) } }
      return (used, frames)
    }
    let whole: [UInt8] = [0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9]
    #expect(taken(whole) == (15, [[7, 8], [], [9]]))
    for count in 0..<whole.count {
      let (used, frames) = taken(Array(whole[..<count]))
      #expect(used == (count < 6 ? 0 : count < 10 ? 6 : 10))
      #expect(frames == [[[7, 8]], [[]]].prefix(count < 6 ? 0 : count < 10 ? 1 : 2).flatMap { $0 })
    }
    #expect(taken([0, 1, 0, 22]).used == nil)
    #expect(taken([0xff, 0, 0, 0]).used == nil)
  }
}

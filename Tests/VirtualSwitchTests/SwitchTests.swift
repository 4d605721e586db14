// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VirtualSwitch

@Suite struct SwitchTests {
  let a = Frames.address(1)
  let b = Frames.address(2)
  let c = Frames.address(3)

  func machine(_ count: Int, _ settings: PortSettings = PortSettings(allowsSpoofing: true)) throws -> (Switch, [PortID])
  {
    var machine = Switch(addresses: 64, addressesPerPort: 32, lifetime: 100, seed: 7)
    let ports = try (0..<count).map { _ in try machine.connect(settings) }
    return (machine, ports)
  }

  func ids(_ forwarding: Forwarding) -> [UInt8] { forwarding.ports.map(\.rawValue) }

  // MARK: Learning

  @Test func learnsAndForgets() throws {
    var (machine, ports) = try machine(3)
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0], now: 1)) == [1, 2])
    #expect(ids(machine.forward(Frames.ethernet(to: a, from: b), from: ports[1], now: 2)) == [0])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0], now: 3)) == [1])
    #expect(machine.addresses(now: 3).map(\.address).sorted() == [a, b])
    // 100 ns after it was last seen it is old.
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0], now: 102)) == [1])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0], now: 103)) == [1, 2])
    machine.forgetOld(now: 300)
    #expect(machine.addressCount == 0)
  }

  @Test func followsAnAddressThatMoves() throws {
    var (machine, ports) = try machine(3)
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: b), from: ports[1])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0])) == [1])
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: b), from: ports[2])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0])) == [2])
    machine.disconnect(ports[2])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0])) == [1])
    #expect(machine.checkInvariants())
  }

  @Test func keepsVLANsApart() throws {
    var machine = Switch(seed: 1)
    let trunk = PortSettings(vlan: .trunk(allowed: .all, native: .none), allowsSpoofing: true)
    let ports = try (0..<3).map { _ in try machine.connect(trunk) }
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: b, tags: [10]), from: ports[1])
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: b, tags: [20]), from: ports[2])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a, tags: [10]), from: ports[0])) == [1])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a, tags: [20]), from: ports[0])) == [2])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a, tags: [30]), from: ports[0])) == [1, 2])
  }

  @Test func aFrameToItsOwnPortGoesNowhere() throws {
    var (machine, ports) = try machine(3)
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: b), from: ports[0])
    let forwarding = machine.forward(Frames.ethernet(to: b, from: a), from: ports[0])
    #expect(forwarding.ports.isEmpty)
    #expect(forwarding.drop == .noReceiver)
  }

  @Test func theTableIsBounded() throws {
    var (machine, ports) = try machine(2)
    for number in 0..<10_000 {
      let source = MACAddress(rawValue: 0x0200_0000_0000 | UInt64(number))
      #expect(ids(machine.forward(Frames.ethernet(to: .broadcast, from: source), from: ports[0])) == [1])
    }
    // One port has half of it at most: the other one still learns.
    #expect(machine.addressCount <= 32)
    #expect(machine.unlearned >= 10_000 - 32)
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: a), from: ports[1])
    #expect(machine.addresses(now: 0).contains { $0.address == a && $0.port == ports[1] })
    #expect(machine.checkInvariants())
  }

  @Test func portsAreBounded() throws {
    var (machine, ports) = try machine(64)
    #expect(throws: SwitchError.full(64)) { try machine.connect(PortSettings()) }
    machine.disconnect(ports[40])
    #expect(try machine.connect(PortSettings()) == ports[40])
    #expect(machine.forward(Frames.ethernet(to: .broadcast, from: a), from: ports[0]).ports.count == 63)
  }

  // MARK: Who gets what

  @Test func onePortOneAddress() throws {
    var machine = Switch(seed: 1)
    let first = try machine.connect(PortSettings(address: a))
    let second = try machine.connect(PortSettings(address: b))
    let uplink = try machine.connect(.uplink())
    // No learning is needed, and a stranger's frames are nobody else's business.
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: first)) == [second.rawValue])
    #expect(ids(machine.forward(Frames.ethernet(to: c, from: a), from: first)) == [uplink.rawValue])
    #expect(ids(machine.forward(Frames.ethernet(to: .broadcast, from: a), from: first)) == [1, 2])
    #expect(machine.forward(Frames.ethernet(to: a, from: a), from: first).drop == .noReceiver)
    #expect(machine.addressCount == 0)
    // A port that bridges may have strangers behind it.
    try machine.set(PortSettings(address: b, allowsSpoofing: true), at: second)
    #expect(ids(machine.forward(Frames.ethernet(to: c, from: a), from: first)) == [1, 2])
  }

  @Test func refusesForeignSources() throws {
    var machine = Switch(seed: 1)
    let first = try machine.connect(PortSettings(address: a))
    _ = try machine.connect(PortSettings(address: b))
    let uplink = try machine.connect(.uplink())
    #expect(machine.forward(Frames.ethernet(to: .broadcast, from: c), from: first).drop == .spoofed)
    #expect(machine.forward(Frames.ethernet(to: .broadcast, from: b), from: first).drop == .spoofed)
    // Nor may the outside have an address of a port.
    #expect(machine.forward(Frames.ethernet(to: .broadcast, from: b), from: uplink).drop == .spoofed)
    try machine.set(PortSettings(address: a, allowsSpoofing: true), at: first)
    #expect(machine.forward(Frames.ethernet(to: .broadcast, from: c), from: first).drop == nil)
    #expect(machine.forward(Frames.ethernet(to: .broadcast, from: b), from: first).drop == .spoofed)
    #expect(machine.counters(of: first)?.dropped(.spoofed) == 3)
  }

  @Test func isolatedPortsMeetOnlyOthers() throws {
    var machine = Switch(seed: 1)
    let isolated = PortSettings(allowsSpoofing: true, isIsolated: true)
    let first = try machine.connect(isolated)
    let second = try machine.connect(isolated)
    let open = try machine.connect(PortSettings(allowsSpoofing: true))
    #expect(ids(machine.forward(Frames.ethernet(to: .broadcast, from: a), from: first)) == [2])
    #expect(ids(machine.forward(Frames.ethernet(to: .broadcast, from: b), from: second)) == [2])
    #expect(machine.forward(Frames.ethernet(to: b, from: a), from: first).ports.isEmpty)
    #expect(ids(machine.forward(Frames.ethernet(to: .broadcast, from: c), from: open)) == [0, 1])
  }

  @Test func aLinkThatIsDownGetsNothing() throws {
    var (machine, ports) = try machine(3)
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: b), from: ports[1])
    machine.setLink(up: false, at: ports[1])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0])) == [2])
    #expect(machine.forward(Frames.ethernet(to: a, from: b), from: ports[1]).drop == .linkDown)
    machine.setLink(up: true, at: ports[1])
    #expect(ids(machine.forward(Frames.ethernet(to: b, from: a), from: ports[0])) == [1, 2])
  }

  // MARK: Odd frames

  @Test func refusesWhatNoFrameIs() throws {
    var (machine, ports) = try machine(2)
    let source = ports[0]
    #expect(machine.forward([], from: source).drop == .malformed)
    let whole = Frames.ethernet(to: b, from: a, tags: [0], payload: [])
    for count in 0..<whole.count { #expect(machine.forward(Array(whole[..<count]), from: source).drop == .malformed) }
    // A header is a frame.
    #expect(machine.forward(whole, from: source).drop == nil)
    #expect(machine.forward(Frames.ethernet(to: b, from: a, payload: []), from: source).drop == nil)
    #expect(machine.forward(Frames.ethernet(to: b, from: .zero), from: source).drop == .badSource)
    // As a target it is an address that nobody has.
    #expect(ids(machine.forward(Frames.ethernet(to: .zero, from: a), from: source)) == [1])
    #expect(machine.forward(Frames.ethernet(to: b, from: .broadcast), from: source).drop == .badSource)
    for last in UInt64(0)..<17 {
      let group = MACAddress(rawValue: 0x0180_c200_0000 + last)
      let expected: DropReason? = last < 16 ? .reservedAddress : nil
      #expect(machine.forward(Frames.ethernet(to: group, from: a), from: source).drop == expected)
    }
    let offloads = FrameOffloads(checksum: .needed(start: 1000, offset: 0))
    #expect(machine.forward(Frames.ethernet(to: b, from: a), offloads: offloads, from: source).drop == .malformed)
    #expect(machine.counters(of: source)?.dropped(.malformed) == 20)
  }

  @Test func judgesLengths() throws {
    var machine = Switch(seed: 1)
    let jumbo = try machine.connect(
      PortSettings(vlan: .trunk(allowed: .all, native: .none), allowsSpoofing: true, maximumPayload: 9000))
    let plain = try machine.connect(PortSettings(vlan: .trunk(allowed: .all, native: .none), allowsSpoofing: true))
    func frame(_ count: Int, tags: [UInt16] = []) -> [UInt8] {
      Frames.ethernet(to: .broadcast, from: a, tags: tags, payload: [UInt8](repeating: 0, count: count))
    }
    // The tag does not count, nor does a second one.
    for tags in [[], [5], [5, 6]] as [[UInt16]] {
      #expect(machine.forward(frame(1500, tags: tags), from: plain).drop == nil)
      #expect(machine.forward(frame(1501, tags: tags), from: plain).drop == .tooLong)
      #expect(machine.forward(frame(9000, tags: tags), from: jumbo).ports.isEmpty)
      #expect(machine.forward(frame(9001, tags: tags), from: jumbo).drop == .tooLong)
      #expect(ids(machine.forward(frame(1500, tags: tags), from: jumbo)) == [plain.rawValue])
    }
    #expect(machine.counters(of: plain)?.dropped(.tooLong) == 6)
    let large = FrameOffloads(
      checksum: .needed(start: 34, offset: 16), segmentation: .tcp4(ecn: false), segmentSize: 1448, headerLength: 66)
    #expect(machine.forward(frame(65_000), offloads: large, from: plain).drop == nil)
    #expect(machine.forward(frame(65_540), offloads: large, from: plain).drop == nil)
    #expect(machine.forward(frame(65_600), offloads: large, from: plain).drop == .malformed)
    var wide = large
    wide.segmentSize = 8000
    #expect(machine.forward(frame(65_000), offloads: wide, from: plain).drop == .tooLong)
    #expect(machine.forward(frame(65_000), offloads: wide, from: jumbo).ports.isEmpty)
  }

  /// Whoever is in one VLAN must not reach another one by a second tag that a switch further on would judge.
  @Test func secondTagsDoNotHop() throws {
    var machine = Switch(seed: 1)
    let ten = VLANID(rawValue: 10)
    let access = try machine.connect(PortSettings(vlan: .access(ten), allowsSpoofing: true))
    let native = try machine.connect(
      PortSettings(vlan: .trunk(allowed: VLANSet.all, native: ten), allowsSpoofing: true))
    let trunk = try machine.connect(
      PortSettings(vlan: .trunk(allowed: VLANSet.all, native: .none), allowsSpoofing: true))
    func send(_ tags: [UInt16], _ type: UInt16 = 0x88b5, beside: UInt16? = nil, from port: PortID) -> Forwarding {
      machine.forward(
        Frames.ethernet(to: .broadcast, from: a, tags: tags, type: type), tag: beside.map { VLANTag(rawValue: $0) },
        from: port)
    }
    // From an access port not even behind a priority tag.
    #expect(send([20], from: access).drop == .vlan)
    #expect(send([0, 20], from: access).drop == .vlan)
    #expect(send([20], beside: 0, from: access).drop == .vlan)
    #expect(send([], 0x88a8, from: access).drop == .vlan)
    // From a trunk the second tag is payload, as long as the first one stays before it.
    #expect(ids(send([20, 30], from: trunk)) == [native.rawValue])
    #expect(ids(send([30], beside: 20, from: trunk)) == [native.rawValue])
    #expect(send([10, 20], from: trunk).ports.isEmpty)
    #expect(machine.counters(of: native)?.dropped(.hiddenTag) == 1)
    #expect(machine.counters(of: access)?.dropped(.hiddenTag) == 1)
    #expect(ids(send([10, 20], from: native)) == [trunk.rawValue])
  }

  // MARK: Guards

  @Test func guardsAgainstRouters() throws {
    var machine = Switch(seed: 1)
    let guarded = try machine.connect(PortSettings(allowsSpoofing: true, guardsRouters: true))
    let open = try machine.connect(PortSettings(allowsSpoofing: true))
    func send(_ type: UInt16, _ packet: [UInt8], shown: Int = 128, from port: PortID) -> DropReason? {
      machine.forward(
        Frames.ethernet(to: .broadcast, from: a, type: type, payload: packet), from: port, shown: shown
      ).drop
    }
    let rest = [UInt8](repeating: 0, count: 20)
    for kind in UInt8(130)...140 {
      let isBad = kind == 134 || kind == 137
      #expect(send(0x86dd, Frames.ip6(58, [kind, 0] + rest), from: guarded) == (isBad ? .routerGuard : nil))
      // Behind a hop-by-hop header, a destination header, and in a first fragment.
      for header: [UInt8] in [[58, 0, 1, 4, 0, 0, 0, 0], [58, 1] + [UInt8](repeating: 0, count: 14)] {
        for number: UInt8 in [0, 60] {
          let packet = Frames.ip6(number, header + [kind, 0] + rest)
          #expect(send(0x86dd, packet, from: guarded) == (isBad ? .routerGuard : nil))
        }
      }
      let first = Frames.ip6(44, [58, 0, 0, 1, 0, 0, 0, 9, kind, 0] + rest)
      #expect(send(0x86dd, first, from: guarded) == (isBad ? .routerGuard : nil))
      #expect(send(0x86dd, Frames.ip6(58, [kind, 0] + rest), from: open) == nil)
    }
    // A later fragment has no header to judge; a chain that leaves the frame's first bytes has something to hide.
    #expect(send(0x86dd, Frames.ip6(44, [58, 0, 0, 9, 0, 0, 0, 9, 134, 0] + rest), from: guarded) == nil)
    let long = Frames.ip6(60, [58, 20] + [UInt8](repeating: 0, count: 166) + [134, 0] + rest)
    #expect(send(0x86dd, long, from: guarded) == .routerGuard)
    for kind in UInt8(0)...12 {
      let isBad = kind == 5 || kind == 9
      #expect(send(0x0800, Frames.ip4(1, [kind, 0] + rest), from: guarded) == (isBad ? .routerGuard : nil))
      #expect(send(0x0800, Frames.ip4(1, [kind, 0] + rest, fragment: 100), from: guarded) == nil)
    }
  }

  @Test func guardsAgainstDHCPServers() throws {
    var machine = Switch(seed: 1)
    let guarded = try machine.connect(PortSettings(allowsSpoofing: true, guardsDHCP: true))
    _ = try machine.connect(PortSettings(allowsSpoofing: true))
    func send(_ type: UInt16, _ packet: [UInt8]) -> DropReason? {
      machine.forward(Frames.ethernet(to: .broadcast, from: a, type: type, payload: packet), from: guarded).drop
    }
    #expect(send(0x0800, Frames.ip4(17, Frames.udp([1], from: 67, to: 68))) == .dhcpGuard)
    #expect(send(0x0800, Frames.ip4(17, Frames.udp([1], from: 68, to: 67))) == nil)
    #expect(send(0x0800, Frames.ip4(6, Frames.tcp([1]))) == nil)
    #expect(send(0x86dd, Frames.ip6(17, Frames.udp([1], from: 547, to: 546))) == .dhcpGuard)
    #expect(send(0x86dd, Frames.ip6(17, Frames.udp([1], from: 546, to: 547))) == nil)
    #expect(send(0x0806, Frames.udp([1], from: 67, to: 68)) == nil)
  }

  // MARK: Settings and counters

  @Test func refusesSettings() throws {
    var machine = Switch(seed: 1)
    _ = try machine.connect(PortSettings(address: a))
    func refused(_ settings: PortSettings, _ error: SwitchError) {
      #expect(throws: error) { try machine.connect(settings) }
    }
    refused(PortSettings(vlan: .access(VLANID(rawValue: 0))), .vlanOutOfRange(0))
    refused(PortSettings(vlan: .access(VLANID(rawValue: 4095))), .vlanOutOfRange(4095))
    refused(PortSettings(vlan: .trunk(allowed: VLANSet(), native: .none)), .emptyTrunk)
    refused(PortSettings(vlan: .trunk(allowed: .all, native: VLANID(rawValue: 4095))), .vlanOutOfRange(4095))
    refused(PortSettings(address: .zero), .unusableAddress(.zero))
    refused(PortSettings(address: .broadcast), .unusableAddress(.broadcast))
    refused(PortSettings(address: a), .addressTaken(a, by: ""))
    refused(PortSettings(maximumPayload: 67), .payloadOutOfRange(67))
    refused(PortSettings(maximumPayload: 65_522), .payloadOutOfRange(65_522))
    #expect(machine.connected.count == 1)
  }

  @Test func counts() throws {
    var (machine, ports) = try machine(2)
    let frame = Frames.ethernet(to: .broadcast, from: a)
    _ = machine.forward(frame, from: ports[0])
    _ = machine.forward(Frames.ethernet(to: .broadcast, from: a, tags: [0]), from: ports[0])
    machine.refused(.noRoom, byteCount: 60, at: ports[1])
    let source = try #require(machine.counters(of: ports[0]))
    let target = try #require(machine.counters(of: ports[1]))
    #expect((source.receivedFrames, source.receivedBytes) == (2, 124))
    #expect((target.sentFrames, target.sentBytes, target.dropped(.noRoom)) == (1, 60, 1))
    #expect(DropReason.allCases.count == DropReason.count)
    #expect(DropReason.allCases.map(\.rawValue) == (0..<UInt8(DropReason.count)).map { $0 })
    #expect(Set(DropReason.allCases.map(\.name)).count == DropReason.count)
  }
}

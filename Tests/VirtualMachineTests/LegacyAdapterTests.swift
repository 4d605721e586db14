// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import DeviceProtocols
import Partition
import ServiceProviders
import Synchronization
import Testing
import VirtualDisks
import VirtualSwitch

@testable import VirtualMachine

/// The emulated network adapter between a guest's ports and memory on one side and a switch on the other.
@Suite struct LegacyAdapterTests {
  /// Keeps what it gets.
  final class Collector: SwitchPortSink {
    let frames = Mutex<[[UInt8]]>([])
    func accept(_ frame: FrameView, from sender: Int) -> Bool {
      frames.withLock { $0.append(frame.bytes) }
      return true
    }
    func endBurst(from sender: Int) {}
  }

  private let group: LegacyGroup
  private let network: NetworkGroup
  private let engine = SwitchEngine(name: "test")
  private let memory: GuestMemory
  private let events = EventLog()

  init() throws {
    let adapters = try NetworkAdapterConfiguration.finish(
      [],
      legacy: ["none,mac=00:15:5d:01:02:03", "none"].map { text throws(ConfigurationError) in
        try DeviceDraft(flag: text, first: "connection", from: "--legacy-nic")
      }, machine: "web")
    group = try #require(
      try LegacyGroup.open(
        [], adapters: adapters, machine: "web", port: PartitionPort(), opener: FileStoreOpener(), events: events,
        space: SpaceWatch { _, _ in }))
    memory = try GuestMemory(byteCount: 1 << 20)
    network = NetworkGroup(machine: "web", processors: 1, place: .here, port: PartitionPort(), events: events)
    try network.open(adapters, emulated: group.ports.adapters)
    for adapter in group.ports.adapters { try adapter.attach(memory) }
  }

  private func finish() {
    network.stop()
    engine.stop()
    group.stop()
  }

  private func out(_ port: UInt16, _ value: UInt32) {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32($0 * 8)) }
    group.ports.portWrite(port, size: 4, from: unsafe bytes.span.bytes)
  }

  private func input(_ port: UInt16) -> UInt32 {
    var bytes = [UInt8](repeating: 0, count: 4)
    unsafe bytes.withUnsafeMutableBytes { buffer in
      var span = unsafe MutableRawSpan(_unsafeBytes: buffer)
      group.ports.portRead(port, size: 4, into: &span)
    }
    return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  private func configure(_ device: UInt32, _ register: UInt32, _ value: UInt32) {
    out(0xCF8, 0x8000_0000 | device << 11 | register)
    out(0xCFC, value)
  }

  private func describe(_ at: UInt64, _ words: [UInt32]) throws {
    try memory.write(at, words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32($0 * 8)) } })
  }

  private func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<1000 {
      if condition() { return true }
      try? await Task.sleep(for: .milliseconds(5))
    }
    return false
  }

  private func start(_ base: UInt16) {
    for (register, value) in [(0, 1), (0, 0), (3, 0x2000), (4, 0x1000), (7, 0x1_EBEF), (6, 0x0206_2042)]
      as [(UInt16, UInt32)]
    {
      out(base + register * 8, value)
    }
  }

  @Test(.timeLimit(.minutes(1))) func framesBothWays() async throws {
    defer { finish() }
    let (adapter, peer) = (group.ports.adapters[0], Collector())
    let far = try engine.connect("far", PortSettings(), sink: peer)
    _ = try adapter.connect { sink, capabilities throws(SwitchError) in
      try engine.connect(
        "near", PortSettings(address: MACAddress(rawValue: 0x0015_5D01_0203)), capabilities: capabilities, sink: sink)
    }
    adapter.setLink(isUp: true)
    configure(10, 4, 5)
    start(0xEC00)
    #expect(input(0xEC60) & 0x40 != 0, "the link's pin")
    var frame: [UInt8] = Array(repeating: 0xFF, count: 6) + [0, 0x15, 0x5D, 1, 2, 3, 8, 0]
    frame += [UInt8](repeating: 0x77, count: 86)
    try memory.write(0x1_0000, frame)
    try describe(0x1000, [0x8000_0000, 0xE000_0064, 0x1_0000, 0])
    out(0xEC08, 0)
    #expect(await eventually { peer.frames.withLock { $0 } == [frame] })
    #expect(await eventually { input(0xEC28) & 0x0071_0005 == 0x0061_0005 })
    try describe(0x2000, [0x8000_0000, 0x0200_0600, 0x2_0000, 0])
    let answer: [UInt8] = [0, 0x15, 0x5D, 1, 2, 3, 2, 0, 0, 0, 0, 1, 8, 6] + Array(repeating: 0x11, count: 46)
    let sender = far.makeSender()
    FrameView.with(answer) { _ = sender.send($0) }
    sender.flush()
    #expect(try memory.read(0x2_0000, count: 60) == answer)
    #expect(input(0xEC28) & 0x1_0040 == 0x1_0040)
    // The ring has one descriptor, which is the guest's now: what comes waits until it gives that back.
    var second = answer
    second[20] = 0x22
    FrameView.with(second) { _ = sender.send($0) }
    sender.flush()
    #expect(input(0xEC28) & 0x8080 == 0x8080 && adapter.statistics.receivedFrames == 1)
    try describe(0x2000, [0x8000_0000, 0x0200_0600, 0x2_0000, 0])
    #expect(await eventually { adapter.statistics.receivedFrames == 2 })
    #expect(try memory.read(0x2_0000, count: 60) == second)
    // Not without end.
    for _ in 0..<600 { FrameView.with(answer) { _ = sender.send($0) } }
    let figures = adapter.statistics
    #expect(figures.transmittedFrames == 1 && figures.transmittedBytes == 100)
    #expect(figures.receivedFrames == 2 && figures.withoutBuffer == 88)
    #expect(input(0xEC40) == 0, "none of those that wait is counted as missed")
    // The second adapter has seen nothing of it.
    #expect(group.ports.adapters[1].statistics == .init() && input(0xECA8) == 0)
  }

  @Test(.timeLimit(.minutes(1))) func theTimerEnds() async throws {
    defer { finish() }
    configure(10, 4, 5)
    start(0xEC00)
    out(0xEC58, 20)
    #expect(await eventually { input(0xEC28) & 0x800 != 0 })
  }

  @Test func portsGoWhereTheGuestPutsThem() throws {
    defer { finish() }
    out(0xEC18, 0x1234)
    #expect(input(0xEC18) == 0x1234)
    configure(10, 0x10, 0xD000)
    #expect(input(0xEC18) == .max && input(0xD018) == 0x1234 && input(0xEC98) == 0)
    configure(10, 4, 0)
    #expect(input(0xD018) == .max)
    group.ports.portsReset()
    #expect(input(0xEC18) == 0)
    let routes = try #require(group.ports.pciRoot).routes
    #expect(routes.map(\.device) == [10, 11] && routes.map(\.interrupt) == [11, 10])
  }

  @Test func itStaysInTheMachine() throws {
    defer { finish() }
    let listed = network.list().map { AttachedAdapter($0) }
    #expect(
      listed.map(\.name) == ["legacy0", "legacy1"] && listed.allSatisfy { $0.kind == .legacy && $0.link == .down })
    #expect(listed.map(\.version) == [nil, nil] && listed.map(\.mtu) == [1500, 1500])
    do throws(ControlError) {
      try network.remove("legacy0")
      Issue.record("removed")
    } catch {
      #expect(error.code == .wrongState && error.remedy != nil)
    }
    // Eight synthetic ones beside it.
    for _ in 0..<8 {
      try network.add(
        try NetworkAdapterConfiguration(
          NICRequest(connection: "none"), machine: "web", among: network.list().map(\.configuration.name)))
    }
    #expect(network.list().count == 10)
  }
}

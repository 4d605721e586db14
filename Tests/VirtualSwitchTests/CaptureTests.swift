// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import TestSupport
import Testing

@testable import VirtualSwitch

@Suite struct CaptureTests {
  let a = Frames.address(1)
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  var path: String { folder["capture.pcapng"] }

  func contents(_ path: String) throws -> [UInt8] {
    let file = try Descriptor.open(path, O_RDONLY)
    var bytes: [UInt8] = []
    while Stream.readMore(file.number, into: &bytes, limit: 1 << 20) {}
    return bytes
  }

  /// From the pcapng draft's figures: section header, interface description, enhanced packet.
  @Test func goldenBytes() {
    #expect(
      CaptureFormat.sectionHeader == [
        0x0a, 0x0d, 0x0d, 0x0a, 48, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 4, 0, 9, 0, 0x73, 0x77, 0x69, 0x66, 0x74, 0x2d, 0x6c, 0x69, 0x73, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0,
      ])
    #expect(
      CaptureFormat.interface("vm1", snapLength: 65535) == [
        1, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0, 0, 2, 0, 3, 0, 0x76, 0x6d, 0x31, 0, 9, 0, 1, 0, 9, 0, 0, 0,
        0, 0, 0, 0, 40, 0, 0, 0,
      ])
    var packet: [UInt8] = []
    let frame: [UInt8] = [1, 2, 3, 4, 5, 6]
    FrameView.with(frame) { CaptureFormat.packet($0, 5, 3, 2, 0x0102_0304_0506_0708, &packet) }
    #expect(
      packet == [
        6, 0, 0, 0, 52, 0, 0, 0, 3, 0, 0, 0, 4, 3, 2, 1, 8, 7, 6, 5, 5, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0, 2,
        0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0,
      ])
  }

  /// A capture on each port shows the tags that are on its wire; read by tcpdump, if it is there.
  @Test func showsTheTagsOfEachPort() throws {
    let engine = SwitchEngine(name: "office")
    defer { engine.stop() }
    let path = self.path
    let ten = VLANID(rawValue: 10)
    let access = try engine.connect("access", PortSettings(vlan: .access(ten), address: a), sink: Collector())
    _ = try engine.connect(
      "trunk", .uplink(), capabilities: PortCapabilities(tagsOutOfBand: true), sink: Collector())
    #expect(throws: SwitchError.noSuchPort("nobody")) { try engine.startCapture(to: path, ports: ["nobody"]) }
    #expect(access.isUp)
    try engine.startCapture(to: path)
    #expect(throws: SwitchError.self) { try engine.startCapture(to: path) }
    let frame = Frames.ethernet(
      to: .broadcast, from: a, type: 0x0800, payload: Frames.ip4(17, Frames.udp([1, 2, 3, 4])))
    FrameView.with(frame) { _ = access.makeSender().send($0) }
    #expect(engine.captures.count == 1)
    let report = try engine.stopCapture(path)
    #expect(report == CaptureReport(path: path, frames: 2, leftOut: 0, failure: nil))
    #expect(throws: SwitchError.self) { try engine.stopCapture(path) }
    let bytes = try contents(path)
    let expected = CaptureFormat.sectionHeader + CaptureFormat.interface("access", snapLength: 262_144)
    #expect(Array(bytes.prefix(expected.count)) == expected)
    let tagged = Frames.ethernet(
      to: .broadcast, from: a, tags: [10], type: 0x0800, payload: Frames.ip4(17, Frames.udp([1, 2, 3, 4])))
    #expect(bytes.contains(frame))
    #expect(bytes.contains(tagged))
    guard let tcpdump = PasstDriver.find("tcpdump") else { return }
    let text = try Command.run(tcpdump, ["-n", "-e", "-r", path])
    let lines = text.split(separator: "\n").filter { $0.contains("ethertype") }
    #expect(lines.count == 2)
    #expect(lines.filter { $0.contains("vlan 10, p 0") }.count == 1)
  }

  @Test func cutsAndRefuses() throws {
    let path = self.path
    #expect(throws: SwitchError.self) { try PacketCapture(path, snapLength: 63) }
    #expect(throws: SwitchError.self) { try PacketCapture("/nowhere/at/all") }
    let capture = try PacketCapture(path, snapLength: 64)
    let number = capture.addInterface("one")
    let frame = Frames.ethernet(to: .broadcast, from: a, payload: [UInt8](repeating: 7, count: 1000))
    FrameView.with(frame) { capture.record($0, on: number, .outbound) }
    #expect(capture.stop().frames == 1)
    FrameView.with(frame) { capture.record($0, on: number, .outbound) }
    #expect(capture.report.frames == 1)
    let bytes = try contents(path)
    #expect(bytes.contains(Array(frame[..<64])))
    #expect(!bytes.contains(Array(frame[..<65])))
  }

  /// A full disk ends the capture, not the switch.
  @Test func aFullDisk() throws {
    guard unsafe access("/dev/full", W_OK) == 0 else { return }
    let capture = try PacketCapture("/dev/full")
    let number = capture.addInterface("one")
    FrameView.with(Frames.ethernet(to: .broadcast, from: a)) { capture.record($0, on: number, .inbound) }
    #expect(capture.stop().failure != nil)
  }
}

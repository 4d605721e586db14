// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import Testing
import VirtualSwitch

@testable import VirtualMachine

@Suite struct SwitchServiceTests {
  final class Nobody: SwitchPortSink {
    func accept(_ frame: FrameView, from sender: Int) -> Bool { true }
    func endBurst(from sender: Int) {}
  }

  func service(_ path: String) throws -> SwitchService {
    try SwitchService(
      MachineName.parse("office"), kind: .private, uplink: nil, mtu: 9000, portSocket: path)
  }

  func failure(_ body: () throws -> some Any) -> ControlError? {
    do {
      _ = try body()
      return nil
    } catch {
      return error as? ControlError
    }
  }

  @Test func machinesAttachAndPortsChange() async throws {
    let path = "/tmp/lis-switch-\(UUID().uuidString.prefix(8)).sock"
    let service = try service(path)
    defer { service.stop() }
    let address = try #require(MACAddress("00:15:5d:01:02:03"))
    let port = try RemotePort(
      switchAt: path, name: "web", PortSettings(address: address, maximumPayload: 9000), sink: Nobody())
    var found = try service.describe()
    #expect(found.kind == .private)
    #expect(found.uplink == nil)
    #expect(found.ports.map(\.name) == ["web"])
    #expect(found.ports.first?.macAddress == "00:15:5d:01:02:03")
    #expect(failure { try service.remove(force: false) }?.code == .wrongState)
    let trunk = PortVLAN(mode: .trunk, allowed: "10,20-30", native: 10)
    let changed = try service.updatePort("web", SwitchPortUpdate(vlan: trunk, isolated: true))
    #expect(changed.vlan == trunk)
    #expect(changed.isolated)
    #expect(!changed.allowSpoofing)
    found = try service.describe()
    #expect(found.ports == [changed])
    #expect(failure { try service.updatePort("absent", SwitchPortUpdate()) }?.code == .notFound)
    let file = "/tmp/lis-switch-\(UUID().uuidString.prefix(8)).pcapng"
    defer { try? FileManager.default.removeItem(atPath: file) }
    #expect(try service.startCapture(SwitchCaptureRequest(path: file)).path == file)
    #expect(failure { try service.startCapture(SwitchCaptureRequest(path: file)) }?.code == .input)
    #expect(try service.stopCapture(file).frames == 0)
    #expect(failure { try service.stopCapture(file) }?.code == .notFound)
    port.disconnect()
    for _ in 0..<500 where try !service.describe().ports.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    try service.remove(force: false)
    await service.waitForEnd()
  }

  /// Nothing is left of a switch whose way out is not there.
  @Test func nothingHalfCreated() throws {
    let path = "/tmp/lis-switch-\(UUID().uuidString.prefix(8)).sock"
    let error = failure {
      try SwitchService(
        MachineName.parse("office"), kind: .external, uplink: .interface("listest9"), mtu: 1500, portSocket: path)
    }
    #expect(error?.code == .notFound)
    #expect(!FileManager.default.fileExists(atPath: path))
    let mtu = failure {
      try SwitchService(MachineName.parse("office"), kind: .private, uplink: nil, mtu: 67, portSocket: path)
    }
    #expect(mtu?.code == .configuration)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test(arguments: [
    PortVLAN(mode: .untagged), PortVLAN(mode: .access, id: 1), PortVLAN(mode: .access, id: 4094),
    PortVLAN(mode: .trunk, allowed: "1-4094"), PortVLAN(mode: .trunk, allowed: "1,3-5", native: 4094),
  ])
  func modesGoRound(_ vlan: PortVLAN) throws { #expect(PortVLAN(try vlan.vlanMode()) == vlan) }

  @Test(arguments: [
    PortVLAN(mode: .access), PortVLAN(mode: .access, id: 0), PortVLAN(mode: .access, id: 4095),
    PortVLAN(mode: .access, id: 1, native: 2), PortVLAN(mode: .untagged, id: 1), PortVLAN(mode: .trunk),
    PortVLAN(mode: .trunk, allowed: "1-"), PortVLAN(mode: .trunk, allowed: "1-4095"),
    PortVLAN(mode: .trunk, allowed: "1", native: 0), PortVLAN(mode: .trunk, id: 1, allowed: "1"),
  ])
  func refusesModes(_ vlan: PortVLAN) {
    #expect(failure { try vlan.vlanMode() }?.code == .configuration)
  }
}

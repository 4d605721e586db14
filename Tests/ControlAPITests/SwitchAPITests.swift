// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import Synchronization
import Testing
import Yams

@testable import ControlAPI

/// The control API of virtual switches: the server over a real socket with a fake switch behind it, and
/// `docs/openapi-switch.yaml`, which says the same, both ways.
@Suite struct SwitchAPITests {
  final class FakeSwitch: SwitchControl {
    private let captures = Mutex<[String]>([])

    static let port = SwitchPortDescription(
      name: "web", kind: .adapter, detail: "user 0", up: true, vlan: PortVLAN(mode: .access, id: 10),
      macAddress: "00:15:5d:01:02:03", allowSpoofing: false, isolated: true, routerGuard: true, dhcpGuard: false,
      mtu: 1500, receivedFrames: 3, receivedBytes: 300, sentFrames: 4, sentBytes: 4_000_000, dropped: ["vlan": 2])

    func describe() -> SwitchDescription {
      SwitchDescription(
        name: "office", kind: .external, uplink: "tap tap0", mtu: 1500, portSocket: "/run/ports.sock", processId: 7,
        ports: [
          SwitchPortDescription(
            name: "uplink", kind: .uplink, detail: "tap tap0", up: false,
            vlan: PortVLAN(mode: .trunk, allowed: "1-4094", native: 5), macAddress: nil, allowSpoofing: true,
            isolated: false, routerGuard: false, dhcpGuard: false, mtu: 1500), Self.port,
        ], addressCount: 2, captures: [SwitchCapture(path: "/tmp/a", frames: 1, leftOut: 0, failure: "write: full")])
    }

    func updatePort(_ name: String, _ update: SwitchPortUpdate) throws(ControlError) -> SwitchPortDescription {
      guard name == "web" else { throw ControlError(.notFound, "no port named \(name)") }
      var port = Self.port
      port.vlan = update.vlan ?? port.vlan
      return port
    }

    func startCapture(_ request: SwitchCaptureRequest) -> SwitchCapture {
      captures.withLock { $0.append(request.path) }
      return SwitchCapture(path: request.path, frames: 0, leftOut: 0)
    }

    func stopCapture(_ path: String) throws(ControlError) -> SwitchCapture {
      guard captures.withLock({ $0.contains(path) }) else { throw ControlError(.notFound, "no capture") }
      return SwitchCapture(path: path, frames: 1, leftOut: 2)
    }

    func remove(force: Bool) throws(ControlError) {
      guard force else { throw ControlError(.wrongState, "in use", remedy: "use --force") }
    }
  }

  func run(_ body: @Sendable (SwitchClient, String) async throws -> Void) async throws {
    let directory = RuntimeDirectory(path: Harness.temporaryPath())
    let name = try MachineName.parse("office")
    let claim = try RuntimeClaim(name, in: directory)
    let server = try await ControlServer.start(
      serving: FakeSwitch(), on: ControlServer.listen(at: claim.socket))
    let result = await Result { try await body(SwitchClient(name, in: directory), claim.socket) }
    await server.stop()
    claim.release()
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
    try? FileManager.default.removeItem(atPath: directory.path)
    try result.get()
  }

  @Test func theClientsCalls() async throws {
    try await run { client, _ in
      let description = try await client.describe()
      #expect(description == FakeSwitch().describe())
      let vlan = PortVLAN(mode: .trunk, allowed: "1-3", native: 2)
      #expect(try await client.updatePort("web", SwitchPortUpdate(vlan: vlan)).vlan == vlan)
      #expect(await failure { try await client.updatePort("a/b", SwitchPortUpdate()) }?.code == .notFound)
      #expect(await failure { try await client.stopCapture("/tmp/x") }?.code == .notFound)
      #expect(try await client.startCapture(SwitchCaptureRequest(path: "/tmp/x")).path == "/tmp/x")
      #expect(try await client.stopCapture("/tmp/x").leftOut == 2)
      #expect(await failure { try await client.startCapture(SwitchCaptureRequest(path: "x")) }?.code == .badRequest)
      #expect(await failure { try await client.remove() }?.code == .wrongState)
      try await client.remove(force: true)
    }
    let nobody = SwitchClient(try MachineName.parse("absent"), in: RuntimeDirectory(path: "/nowhere"))
    #expect(await failure { try await nobody.describe() }?.message == "no switch named absent")
  }

  @Test func documentedPathsAndFields() throws {
    let document = try OpenAPI("docs/openapi-switch.yaml")
    #expect(
      document.operations.map { "\($0.method) \($0.path)" }.sorted()
        == SwitchRoutes.all.map { "\($0.method.rawValue) \($0.path)" }.sorted())
    for route in SwitchRoutes.all {
      let operation = try #require(
        document.operations.first { $0.method == route.method.rawValue && $0.path == route.path })
      #expect(operation.parameters(in: "query") == route.query)
      if case .json = route.body { #expect(operation.requestTypes == ["application/json"]) }
    }
    for (fields, name) in [
      (SwitchPortUpdate.knownFields, "PortUpdate"), (SwitchCaptureRequest.knownFields, "CaptureRequest"),
    ] {
      let schema = try #require(document.root["components"]?["schemas"]?[name])
      #expect(Set(schema["properties"]?.mapping?.keys.compactMap(\.string) ?? []) == fields)
    }
    func choices(_ path: String...) -> [String]? {
      var node = document.root["components"]?["schemas"]
      for part in path { node = node?[part] }
      return node?["enum"]?.sequence?.compactMap(\.string)
    }
    #expect(choices("Switch", "properties", "kind") == SwitchDescription.Kind.allCases.map(\.rawValue))
    #expect(choices("Port", "properties", "kind") == SwitchPortDescription.Kind.allCases.map(\.rawValue))
    #expect(choices("VLAN", "properties", "mode") == PortVLAN.Mode.allCases.map(\.rawValue))
  }

  /// One real request per route; each answer has the documented status and schema.
  @Test func documentedAnswers() async throws {
    try await run { _, socket in
      let document = try OpenAPI("docs/openapi-switch.yaml")
      var seen: Set<String> = []
      for (method, path, target, body) in [
        ("GET", "/v1/switch", "/v1/switch", ""), ("DELETE", "/v1/switch", "/v1/switch?force=true", ""),
        ("PATCH", "/v1/switch/ports/{port}", "/v1/switch/ports/web", "{\"vlan\":{\"mode\":\"untagged\"}}"),
        ("POST", "/v1/switch/captures", "/v1/switch/captures", "{\"path\":\"/tmp/x\"}"),
        ("DELETE", "/v1/switch/captures", "/v1/switch/captures?path=/tmp/x", ""),
      ] {
        let request = "\(method) \(target) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let answer = try await RawClient.exchange(socket, request)
        let operation = try #require(document.operations.first { $0.method == method && $0.path == path })
        let status = try #require(answer.status)
        #expect(status < 300, "\(answer.text)")
        _ = try #require(operation.response(status))
        if let schema = operation.schema(ofStatus: status, "application/json") {
          let value = try JSONSerialization.jsonObject(with: Data(answer.body.utf8))
          #expect(try document.violations(of: value, schema) == [], "\(method) \(path)")
        } else {
          #expect(answer.body.isEmpty)
        }
        seen.insert("\(method) \(path)")
      }
      #expect(seen.count == SwitchRoutes.all.count)
      // A machine's calls are not there.
      let foreign = try await RawClient.exchange(socket, "GET /v1/machine HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(foreign.status == 404)
    }
  }

  @Test func tables() {
    let rendering = Rendering(.table)
    let one = FakeSwitch().describe()
    #expect(
      rendering.switches([one]) == """
        SWITCH  KIND      UPLINK           MTU   ADAPTERS  PROCESS
        office  external  tap tap0 (down)  1500  1         7

        """)
    #expect(rendering.switches([]) == "no switches\n")
    let text = rendering.virtualSwitch(one)
    #expect(text.contains("access 10"))
    #expect(text.contains("trunk 1-4094 native 5"))
    #expect(text.contains("vlan 2"))
    #expect(text.contains("failed: write: full"))
  }
}

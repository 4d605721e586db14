// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import Synchronization
import Testing
import Yams

@testable import ControlAPI

/// `docs/openapi.yaml` and the server say the same, both ways.
@Suite struct OpenAPITests {
  private let document: OpenAPI

  init() throws { document = try OpenAPI() }

  @Test func pathsAndMethods() {
    let documented = document.operations.map { "\($0.method) \($0.path)" }.sorted()
    let served = Routes.all.map { "\($0.method.rawValue) \($0.path)" }.sorted()
    #expect(documented == served)
  }

  @Test func parameters() throws {
    for route in Routes.all {
      let operation = try operation(route)
      #expect(operation.parameters(in: "query") == route.query, "\(route.method.rawValue) \(route.path)")
      let inPath = route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
        String($0.dropFirst().dropLast())
      }
      #expect(operation.parameters(in: "path") == Set(inPath), "\(route.method.rawValue) \(route.path)")
    }
  }

  @Test func bodies() throws {
    for route in Routes.all {
      let types = try operation(route).requestTypes
      switch route.body {
      case .none: #expect(types == [], "\(route.path)")
      case .json: #expect(types == ["application/json"], "\(route.path)")
      case .stream: #expect(types == ["application/octet-stream"], "\(route.path)")
      }
    }
  }

  /// The fields a request may have are those documented, and the documented choices are all taken.
  @Test func requestFields() throws {
    func check(_ type: any StrictlyDecodable.Type, _ name: String) throws {
      let schema = try #require(document.root["components"]?["schemas"]?[name])
      let documented = Set(schema["properties"]?.mapping?.keys.compactMap(\.string) ?? [])
      #expect(documented == type.knownFields, "\(name)")
      #expect(schema["additionalProperties"]?.bool == false)
    }
    try check(StopRequest.self, "StopRequest")
    try check(RestartRequest.self, "RestartRequest")
    try check(FreezeRequest.self, "FreezeRequest")
    try check(ServiceUpdate.self, "ServiceUpdate")
    try check(DiskRequest.self, "DiskRequest")
    try check(DiskUpdate.self, "DiskUpdate")
    try check(DiscRequest.self, "DiscRequest")
    try check(NICRequest.self, "NICRequest")
    try check(NICConnectionRequest.self, "NICConnectionRequest")
    try check(NICLinkRequest.self, "NICLinkRequest")
    try check(NICVLANRequest.self, "NICVLANRequest")
    try check(NICCaptureRequest.self, "NICCaptureRequest")
    try check(KeyValueUpdate.self, "ItemUpdate")
    try check(AdapterUpdate.self, "AddressesUpdate")
  }

  @Test func choices() throws {
    func check<Choice: CaseIterable & RawRepresentable<String>>(_ type: Choice.Type, _ path: String...) throws {
      var node = try #require(document.root["components"]?["schemas"])
      for part in path { node = try #require(node[part], "\(path)") }
      #expect(node["enum"]?.sequence?.compactMap(\.string) == Choice.allCases.map(\.rawValue), "\(path)")
    }
    try check(MachineState.self, "Machine", "properties", "state")
    try check(ChannelDescription.State.self, "Channel", "properties", "state")
    try check(HeartbeatStatus.State.self, "Heartbeat", "properties", "state")
    try check(ServiceStatus.State.self, "Service", "properties", "state")
    try check(ServiceName.self, "ServiceName")
    try check(DiskFormat.self, "DiskFormat")
    try check(AttachedDisk.Kind.self, "Disk", "properties", "kind")
    try check(AttachedDisk.Kind.self, "DiskRequest", "properties", "kind")
    try check(AttachedDisk.State.self, "Disk", "properties", "state")
    try check(AttachedDisk.Interface.self, "Disk", "properties", "interface")
    try check(IDEPlace.self, "IDEPlace")
    try check(AttachedAdapter.Link.self, "NIC", "properties", "link")
    try check(AttachedAdapter.Link.self, "NICLinkRequest", "properties", "link")
    try check(KeyValuePool.self, "Pool")
    try check(KeyValueItem.Kind.self, "ItemKind")
    try check(StopRequest.Mode.self, "StopRequest", "properties", "mode")
    try check(RestartRequest.Mode.self, "RestartRequest", "properties", "mode")
  }

  /// One real request per route; each answer has the documented status, type and schema.
  @Test func realAnswers() async throws {
    try await Harness.run { harness in
      let document = try OpenAPI()
      harness.machine.events.record(.service, "ready", details: ["service": "time"])
      harness.machine.state.value.withLock {
        $0.items[.external] = ["a": KeyValueItem(pool: .external, key: "a", value: "b")]
        let drive = DiskAddress(controller: 1, lun: 0)
        $0.disks[drive] = AttachedDisk(
          at: drive, kind: .dvd, path: nil, sizeBytes: 0, readOnly: true, state: .empty)
        for disk in Sample.ideDisks { $0.disks[disk.address] = disk }
        $0.nics = Sample.nics
        $0.addresses["x"] = AdapterAddresses(adapter: "x", addresses: ["192.0.2.1"], subnets: ["24"])
      }
      var seen: Set<String> = []
      for (route, request) in Self.requests {
        let answer = try await RawClient.exchange(harness.socket, request)
        let operation = try #require(document.operations.first { "\($0.method) \($0.path)" == route }, "\(route)")
        try Self.check(answer, operation, document)
        seen.insert(route)
      }
      // Its answer ends with the machine.
      seen.insert("GET /v1/console")
      #expect(seen == Set(Routes.all.map { "\($0.method.rawValue) \($0.path)" }))
    }
  }

  /// A refusal of each kind of request is a documented one, too.
  @Test func realRefusals() async throws {
    try await Harness.run { harness in
      let document = try OpenAPI()
      let schema = try #require(document.root["components"]?["schemas"]?["Failure"])
      for request in [
        "GET /absent", "GET /v1/nics/absent", "DELETE /v1/disks/ide/primary-master", "PUT /v1/machine",
        "GET /v1/kvp/external/absent",
        "POST /v1/snapshot/thaw", "GET /v1/events?x=1",
      ] {
        let answer = try await RawClient.exchange(harness.socket, "\(request) HTTP/1.1\r\nHost: x\r\n\r\n")
        let value = try JSONSerialization.jsonObject(with: Data(answer.body.utf8))
        #expect(try document.violations(of: value, schema) == [])
        #expect(answer.text.lowercased().contains("content-type: application/json"))
      }
    }
  }

  private func operation(_ route: Route) throws -> OpenAPI.Operation {
    try #require(document.operations.first { $0.method == route.method.rawValue && $0.path == route.path })
  }

  private static func check(
    _ answer: RawClient.Exchange, _ operation: OpenAPI.Operation, _ document: OpenAPI
  ) throws {
    let route = "\(operation.method) \(operation.path)"
    let status = try #require(answer.status)
    let documented = try #require(operation.response(status), "\(route): \(answer.text)")
    guard let content = documented["content"]?.mapping else {
      #expect(answer.body.isEmpty, "\(route)")
      return
    }
    let type = try #require(content.keys.first?.string)
    #expect(answer.text.lowercased().contains("content-type: \(type)"), "\(route)")
    let schema = try #require(operation.schema(ofStatus: status, type))
    let text =
      type == "application/x-ndjson" ? answer.body.split(separator: "\n").first.map(String.init) ?? "" : answer.body
    let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
    #expect(try document.violations(of: value, schema) == [], "\(route)")
  }

  private static func request(_ method: String, _ target: String, _ body: String? = nil) -> String {
    "\(method) \(target) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body?.utf8.count ?? 0)\r\n\r\n\(body ?? "")"
  }

  private static let requests: [(String, String)] = [
    ("GET /v1/machine", request("GET", "/v1/machine")),
    ("POST /v1/machine/stop", request("POST", "/v1/machine/stop", "{\"mode\":\"turn-off\"}")),
    ("POST /v1/machine/restart", request("POST", "/v1/machine/restart", "{\"timeoutSeconds\":5}")),
    ("POST /v1/machine/pause", request("POST", "/v1/machine/pause")),
    ("POST /v1/machine/resume", request("POST", "/v1/machine/resume")),
    ("POST /v1/machine/nmi", request("POST", "/v1/machine/nmi")),
    ("POST /v1/disks", request("POST", "/v1/disks", "{\"path\":\"/d.vhdx\",\"lun\":5,\"sectorBytes\":4096}")),
    ("GET /v1/disks", request("GET", "/v1/disks")),
    ("GET /v1/disks/{controller}/{unit}", request("GET", "/v1/disks/0/5")),
    ("PATCH /v1/disks/{controller}/{unit}", request("PATCH", "/v1/disks/0/5", "{\"sizeBytes\":1073741824}")),
    ("DELETE /v1/disks/{controller}/{unit}", request("DELETE", "/v1/disks/0/5")),
    ("PUT /v1/disks/{controller}/{unit}/disc", request("PUT", "/v1/disks/1/0/disc", "{\"path\":\"/d.iso\"}")),
    ("DELETE /v1/disks/{controller}/{unit}/disc", request("DELETE", "/v1/disks/1/0/disc?force=true")),
    ("POST /v1/nics", request("POST", "/v1/nics", "{\"connection\":\"tap:tap1\",\"name\":\"x\",\"mtu\":9000}")),
    ("GET /v1/nics", request("GET", "/v1/nics")),
    ("GET /v1/nics/{name}", request("GET", "/v1/nics/lan")),
    ("PUT /v1/nics/{name}/connection", request("PUT", "/v1/nics/x/connection", "{\"connection\":\"user\"}")),
    ("PUT /v1/nics/{name}/link", request("PUT", "/v1/nics/x/link", "{\"link\":\"down\"}")),
    ("PUT /v1/nics/{name}/vlan", request("PUT", "/v1/nics/x/vlan", "{\"vlan\":\"access 5\"}")),
    ("PUT /v1/nics/{name}/guards", request("PUT", "/v1/nics/x/guards", "{\"routerGuard\":true}")),
    ("POST /v1/nics/{name}/capture", request("POST", "/v1/nics/x/capture", "{\"path\":\"/x.pcapng\"}")),
    ("DELETE /v1/nics/{name}/capture", request("DELETE", "/v1/nics/x/capture")),
    ("DELETE /v1/nics/{name}", request("DELETE", "/v1/nics/x")),
    ("GET /v1/services", request("GET", "/v1/services")),
    ("PATCH /v1/services/{service}", request("PATCH", "/v1/services/time", "{\"enabled\":false}")),
    ("GET /v1/kvp/{pool}", request("GET", "/v1/kvp/external")),
    ("GET /v1/kvp/{pool}/{key}", request("GET", "/v1/kvp/external/a")),
    ("PUT /v1/kvp/{pool}/{key}", request("PUT", "/v1/kvp/external/c", "{\"value\":\"1\",\"kind\":\"u32\"}")),
    ("DELETE /v1/kvp/{pool}/{key}", request("DELETE", "/v1/kvp/external/c")),
    ("GET /v1/adapters/{adapter}", request("GET", "/v1/adapters/x")),
    ("PUT /v1/adapters/{adapter}", request("PUT", "/v1/adapters/x", "{\"dhcp\":true}")),
    ("PUT /v1/files", request("PUT", "/v1/files?path=/tmp/x&overwrite=true&createFolders=false", "hello")),
    ("POST /v1/snapshot/check", request("POST", "/v1/snapshot/check")),
    ("POST /v1/snapshot/freeze", request("POST", "/v1/snapshot/freeze", "{\"deadlineSeconds\":5}")),
    ("POST /v1/snapshot/thaw", request("POST", "/v1/snapshot/thaw")),
    ("GET /v1/events", request("GET", "/v1/events?since=0")),
    ("POST /v1/console", request("POST", "/v1/console", "ls\n")),
  ]
}

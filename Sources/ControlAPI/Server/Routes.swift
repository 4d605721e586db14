// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// The route table: the API in one screen. `docs/openapi.yaml` documents exactly these; a test compares the two.
enum Routes {
  static let all: [Route] =
    machine + disks + nics + services + keyValue + adapters + files + snapshot + streams

  static let machine = [
    Route(.GET, "/v1/machine") { call throws(ControlError) in .value(try await call.control.describe()) },
    Route(.POST, "/v1/machine/stop", body: .json, handle: stop),
    Route(.POST, "/v1/machine/restart", body: .json, handle: restart),
    Route(.POST, "/v1/machine/pause") { call throws(ControlError) in
      try await call.control.pause()
      return .done
    },
    Route(.POST, "/v1/machine/resume") { call throws(ControlError) in
      try await call.control.resume()
      return .done
    },
    Route(.POST, "/v1/machine/nmi") { call throws(ControlError) in
      try await call.control.injectNMI()
      return .done
    },
  ]

  static let services = [
    Route(.GET, "/v1/services") { call throws(ControlError) in .value(try await call.control.services()) },
    Route(.PATCH, "/v1/services/{service}", body: .json) { call throws(ControlError) in
      let name = try serviceName(call.parameter("service"))
      return .value(try await call.control.setService(name, enabled: try call.decode(ServiceUpdate.self).enabled))
    },
  ]

  static let keyValue = [
    Route(.GET, "/v1/kvp/{pool}") { call throws(ControlError) in
      .value(try await call.control.keyValueItems(in: try pool(call)))
    },
    Route(.GET, "/v1/kvp/{pool}/{key}") { call throws(ControlError) in
      .value(try await call.control.keyValueItem(call.parameter("key"), in: try pool(call)))
    },
    Route(.PUT, "/v1/kvp/{pool}/{key}", body: .json) { call throws(ControlError) in
      let update = try call.decode(KeyValueUpdate.self)
      let item = KeyValueItem(
        pool: try pool(call), key: call.parameter("key"), value: update.value, kind: update.kind ?? .string)
      try KeyValueRules.check(item)
      try await call.control.setKeyValueItem(item)
      return .done
    },
    Route(.DELETE, "/v1/kvp/{pool}/{key}") { call throws(ControlError) in
      try await call.control.deleteKeyValueItem(call.parameter("key"), in: try pool(call))
      return .done
    },
  ]

  static let adapters = [
    Route(.GET, "/v1/adapters/{adapter}") { call throws(ControlError) in
      .value(try await call.control.addresses(of: call.parameter("adapter")))
    },
    Route(.PUT, "/v1/adapters/{adapter}", body: .json) { call throws(ControlError) in
      let addresses = try call.decode(AdapterUpdate.self).addresses(for: call.parameter("adapter"))
      try await call.control.setAddresses(addresses)
      return .done
    },
  ]

  static let files = [
    Route(
      .PUT, "/v1/files", query: ["path", "overwrite", "createFolders"], body: .stream(knownLength: true),
      handle: copyFile)
  ]

  static let snapshot = [
    Route(.POST, "/v1/snapshot/check") { call throws(ControlError) in .value(try await call.control.checkSnapshot()) },
    Route(.POST, "/v1/snapshot/freeze", body: .json) { call throws(ControlError) in
      let deadline = try call.duration(
        try call.decode(FreezeRequest.self).deadlineSeconds, "deadlineSeconds", in: 1...600,
        default: FreezeRequest.defaultDeadline)
      return .value(try await call.control.freeze(deadline: deadline))
    },
    Route(.POST, "/v1/snapshot/thaw") { call throws(ControlError) in .value(try await call.control.thaw()) },
  ]

  static let streams = [
    Route(.GET, "/v1/events", query: ["follow", "since"], handle: events),
    Route(.GET, "/v1/console", query: ["replay"]) { call throws(ControlError) in
      let output = try console(call).attach(replay: try call.flag("replay"))
      return .stream(contentType: "application/octet-stream") {
        for await bytes in output { return bytes }
        return nil
      }
    },
    Route(.POST, "/v1/console", body: .stream(knownLength: false)) { call throws(ControlError) in
      let console = try console(call)
      while let bytes = try await call.stream?.next() { console.type(bytes) }
      return .done
    },
  ]
}

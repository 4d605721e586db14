// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// The route table of a virtual switch. `docs/openapi-switch.yaml` documents exactly these; a test compares the two.
enum SwitchRoutes {
  static let all = [
    Route(.GET, "/v1/switch") { call throws(ControlError) in .value(try call.virtualSwitch.describe()) },
    Route(.DELETE, "/v1/switch", query: ["force"]) { call throws(ControlError) in
      try call.virtualSwitch.remove(force: try call.flag("force"))
      return .done
    },
    Route(.PATCH, "/v1/switch/ports/{port}", body: .json) { call throws(ControlError) in
      let update = try call.decode(SwitchPortUpdate.self)
      return .value(try call.virtualSwitch.updatePort(call.parameter("port"), update))
    },
    Route(.POST, "/v1/switch/captures", body: .json) { call throws(ControlError) in
      let request = try call.decode(SwitchCaptureRequest.self)
      try checkPath(request.path, "field")
      return .value(try call.virtualSwitch.startCapture(request))
    },
    Route(.DELETE, "/v1/switch/captures", query: ["path"]) { call throws(ControlError) in
      let path = call.query["path"] ?? ""
      try checkPath(path, "query parameter")
      return .value(try call.virtualSwitch.stopCapture(path))
    },
  ]

  private static func checkPath(_ path: String, _ place: String) throws(ControlError) {
    guard path.hasPrefix("/"), !path.hasSuffix("/"), !path.utf8.contains(0) else {
      throw ControlError(.badRequest, "\(place) \"path\" is not an absolute path of a file", remedy: "use /folder/name")
    }
  }
}

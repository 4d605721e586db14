// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// Network adapters. (`/v1/adapters` is about the addresses that a guest has given its interfaces.)
extension Routes {
  static let nics = [
    Route(.GET, "/v1/nics") { call throws(ControlError) in .value(try await call.control.nics()) },
    Route(.POST, "/v1/nics", body: .json) { call throws(ControlError) in
      .value(try await call.control.addNIC(try call.decode(NICRequest.self)))
    },
    Route(.GET, "/v1/nics/{name}") { call throws(ControlError) in
      let (name, nics) = (call.parameter("name"), try await call.control.nics())
      guard let nic = nics.first(where: { $0.name == name }) else {
        throw ControlError.noNIC(name, among: nics.map(\.name))
      }
      return .value(nic)
    },
    Route(.DELETE, "/v1/nics/{name}") { call throws(ControlError) in
      try await call.control.removeNIC(call.parameter("name"))
      return .done
    },
    Route(.PUT, "/v1/nics/{name}/connection", body: .json) { call throws(ControlError) in
      let request = try call.decode(NICConnectionRequest.self)
      return .value(try await call.control.connectNIC(call.parameter("name"), request))
    },
    Route(.PUT, "/v1/nics/{name}/link", body: .json) { call throws(ControlError) in
      let request = try call.decode(NICLinkRequest.self)
      return .value(try await call.control.setLink(ofNIC: call.parameter("name"), request.link))
    },
    Route(.PUT, "/v1/nics/{name}/vlan", body: .json) { call throws(ControlError) in
      let request = try call.decode(NICVLANRequest.self)
      return .value(try await call.control.setVLAN(ofNIC: call.parameter("name"), request.vlan))
    },
    Route(.PUT, "/v1/nics/{name}/guards", body: .json) { call throws(ControlError) in
      let request = try call.decode(NICGuardsRequest.self)
      return .value(try await call.control.setGuards(ofNIC: call.parameter("name"), request))
    },
    Route(.POST, "/v1/nics/{name}/capture", body: .json) { call throws(ControlError) in
      let request = try call.decode(NICCaptureRequest.self)
      try request.check()
      return .value(try await call.control.startCapture(ofNIC: call.parameter("name"), request))
    },
    Route(.DELETE, "/v1/nics/{name}/capture") { call throws(ControlError) in
      .value(try await call.control.stopCapture(ofNIC: call.parameter("name")))
    },
  ]
}

extension ControlError {
  public static func noNIC(_ name: String, among names: [String]) -> ControlError {
    let remedy =
      names.isEmpty
      ? "the machine has none; add one with `lis vm nic add`" : "there are \(names.joined(separator: ", "))"
    return ControlError(.notFound, "no network adapter named \"\(name)\"", remedy: remedy)
  }
}

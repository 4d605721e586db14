// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// Network adapters.
extension ControlClient {
  public func nics() async throws(ControlError) -> [AttachedAdapter] { try await get("/v1/nics") }

  public func addNIC(_ request: NICRequest) async throws(ControlError) -> AttachedAdapter {
    try decode(try await send(.POST, "/v1/nics", request))
  }

  public func removeNIC(_ name: String) async throws(ControlError) { try await send(.DELETE, path(of: name)) }

  public func connectNIC(
    _ name: String, _ request: NICConnectionRequest
  ) async throws(ControlError) -> AttachedAdapter {
    try decode(try await send(.PUT, path(of: name) + "/connection", request))
  }

  public func setLink(ofNIC name: String, _ link: AttachedAdapter.Link) async throws(ControlError) -> AttachedAdapter {
    try decode(try await send(.PUT, path(of: name) + "/link", NICLinkRequest(link: link)))
  }

  public func setVLAN(ofNIC name: String, _ vlan: String) async throws(ControlError) -> AttachedAdapter {
    try decode(try await send(.PUT, path(of: name) + "/vlan", NICVLANRequest(vlan: vlan)))
  }

  public func setGuards(
    ofNIC name: String, _ request: NICGuardsRequest
  ) async throws(ControlError) -> AttachedAdapter {
    try decode(try await send(.PUT, path(of: name) + "/guards", request))
  }

  public func startCapture(ofNIC name: String, _ request: NICCaptureRequest) async throws(ControlError)
    -> AdapterCapture
  {
    try decode(try await send(.POST, path(of: name) + "/capture", request))
  }

  public func stopCapture(ofNIC name: String) async throws(ControlError) -> AdapterCapture {
    try decode(try await send(.DELETE, path(of: name) + "/capture"))
  }

  private func path(of name: String) -> String { "/v1/nics/\(Target.encode(name))" }
}

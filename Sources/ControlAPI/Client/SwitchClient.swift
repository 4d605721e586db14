// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// The control API of a running virtual switch, as `lis` uses it; documented in `docs/openapi-switch.yaml`.
public struct SwitchClient: Sendable {
  public let name: MachineName
  private let connection: ControlConnection
  public var patience = Duration.seconds(10)

  public init(_ name: MachineName, in directory: RuntimeDirectory = .switches()) {
    self.name = name
    connection = ControlConnection(socket: directory.socket(of: name))
  }

  public func describe() async throws(ControlError) -> SwitchDescription {
    try await decode(perform(.GET, "/v1/switch", .none))
  }

  public func remove(force: Bool = false) async throws(ControlError) {
    _ = try await perform(.DELETE, "/v1/switch?force=\(force)", .none)
  }

  public func updatePort(
    _ port: String, _ update: SwitchPortUpdate
  ) async throws(ControlError) -> SwitchPortDescription {
    try await decode(
      perform(.PATCH, "/v1/switch/ports/\(Target.encode(port))", .json(StrictJSON.encode(update))))
  }

  public func startCapture(_ request: SwitchCaptureRequest) async throws(ControlError) -> SwitchCapture {
    try await decode(perform(.POST, "/v1/switch/captures", .json(StrictJSON.encode(request))))
  }

  public func stopCapture(_ path: String) async throws(ControlError) -> SwitchCapture {
    try await decode(perform(.DELETE, "/v1/switch/captures?path=\(Target.encode(path))", .none))
  }

  private func perform(
    _ method: HTTPMethod, _ target: String, _ body: ControlConnection.Body
  ) async throws(ControlError) -> [UInt8] {
    let response: ControlConnection.Response
    do throws(ControlError) {
      response = try await connection.perform(method, target, body, deadline: patience, receive: nil)
    } catch {
      guard error.code == .notRunning else { throw error }
      throw ControlError(.notRunning, "no switch named \(name)", remedy: "`lis switch list` shows what there is")
    }
    guard response.status >= 300 else { return response.bytes }
    guard let error = try? StrictJSON.decodeAnswer(ControlError.self, from: response.bytes) else {
      throw ControlError(.hostFailure, "the switch answered with HTTP status \(response.status)")
    }
    throw error
  }

  private func decode<Value: Decodable>(_ bytes: [UInt8]) throws(ControlError) -> Value {
    try StrictJSON.decodeAnswer(Value.self, from: bytes)
  }
}

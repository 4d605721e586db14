// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// The control API of a running machine, as `lis` uses it: each method is one call documented in `docs/openapi.yaml`.
public struct ControlClient: Sendable {
  public let name: MachineName
  private let connection: ControlConnection

  /// How long to wait for an answer that no guest with a deadline of its own stands behind.
  public var patience = Duration.seconds(60)

  public init(_ name: MachineName, in directory: RuntimeDirectory = .standard()) {
    self.name = name
    connection = ControlConnection(socket: directory.socket(of: name))
  }

  // MARK: Machine

  public func describe() async throws(ControlError) -> MachineDescription { try await get("/v1/machine") }

  public func stop(_ request: StopRequest) async throws(ControlError) {
    try await send(.POST, "/v1/machine/stop", request, longerBy: request.timeoutSeconds)
  }

  public func restart(_ request: RestartRequest) async throws(ControlError) {
    try await send(.POST, "/v1/machine/restart", request, longerBy: request.timeoutSeconds)
  }

  public func pause() async throws(ControlError) { try await send(.POST, "/v1/machine/pause") }
  public func resume() async throws(ControlError) { try await send(.POST, "/v1/machine/resume") }
  public func injectNMI() async throws(ControlError) { try await send(.POST, "/v1/machine/nmi") }

  // MARK: Services

  public func services() async throws(ControlError) -> [ServiceStatus] { try await get("/v1/services") }

  public func setService(_ service: ServiceName, enabled: Bool) async throws(ControlError) -> ServiceStatus {
    try decode(try await send(.PATCH, "/v1/services/\(service.rawValue)", ServiceUpdate(enabled: enabled)))
  }

  // MARK: Data exchange

  public func keyValueItems(in pool: KeyValuePool) async throws(ControlError) -> [KeyValueItem] {
    try await get("/v1/kvp/\(pool.rawValue)")
  }

  public func keyValueItem(_ key: String, in pool: KeyValuePool) async throws(ControlError) -> KeyValueItem {
    try await get(path(of: key, in: pool))
  }

  public func setKeyValueItem(_ item: KeyValueItem) async throws(ControlError) {
    try await send(.PUT, path(of: item.key, in: item.pool), KeyValueUpdate(value: item.value, kind: item.kind))
  }

  public func deleteKeyValueItem(_ key: String, in pool: KeyValuePool) async throws(ControlError) {
    try await send(.DELETE, path(of: key, in: pool))
  }

  private func path(of key: String, in pool: KeyValuePool) -> String {
    "/v1/kvp/\(pool.rawValue)/\(Target.encode(key))"
  }

  // MARK: Adapters

  public func addresses(of adapter: String) async throws(ControlError) -> AdapterAddresses {
    try await get("/v1/adapters/\(Target.encode(adapter))")
  }

  public func setAddresses(_ update: AdapterUpdate, of adapter: String) async throws(ControlError) {
    try await send(.PUT, "/v1/adapters/\(Target.encode(adapter))", update)
  }

  // MARK: Files

  public func copyFile(
    _ request: FileCopyRequest, from source: FileCopySource
  ) async throws(ControlError) -> FileCopyResult {
    let target =
      "/v1/files?path=\(Target.encode(request.path))&overwrite=\(request.overwrite)&createFolders=\(request.createFolders)"
    return try decode(
      try await perform(.PUT, target, .stream(byteCount: source.byteCount, next: source.nextChunk)))
  }

  // MARK: Snapshots

  public func checkSnapshot() async throws(ControlError) -> SnapshotStatus {
    try decode(try await send(.POST, "/v1/snapshot/check"))
  }

  public func freeze(_ request: FreezeRequest) async throws(ControlError) -> SnapshotStatus {
    try decode(try await send(.POST, "/v1/snapshot/freeze", request))
  }

  public func thaw() async throws(ControlError) -> SnapshotStatus {
    try decode(try await send(.POST, "/v1/snapshot/thaw"))
  }

  // MARK: Streams

  /// Calls `receive` for each event; returns at the end of the past ones, or (`follow`) of the machine.
  public func events(
    since: UInt64?, follow: Bool, receive: @escaping @Sendable (Event) async -> Void
  ) async throws(ControlError) {
    let lines = LineSplitter()
    let target = "/v1/events?follow=\(follow)" + (since.map { "&since=\($0)" } ?? "")
    _ = try await perform(.GET, target, .none) { bytes in
      for line in lines.push(bytes) {
        if let event = try? StrictJSON.decodeAnswer(Event.self, from: line) { await receive(event) }
      }
    }
  }

  /// Calls `receive` with what the guest prints; returns when the machine ends.
  public func consoleOutput(
    replay: Bool, receive: @escaping @Sendable ([UInt8]) async -> Void
  ) async throws(ControlError) {
    _ = try await perform(.GET, "/v1/console?replay=\(replay)", .none, receive: receive)
  }

  /// Types on the console. Calls must be made one after the other to keep their order.
  public func consoleInput(_ bytes: [UInt8]) async throws(ControlError) {
    _ = try await perform(.POST, "/v1/console", .json(bytes), deadline: patience)
  }

  // MARK: Transport

  private func perform(
    _ method: HTTPMethod, _ target: String, _ body: ControlConnection.Body, deadline: Duration? = nil,
    receive: (@Sendable ([UInt8]) async -> Void)? = nil
  ) async throws(ControlError) -> [UInt8] {
    do throws(ControlError) {
      return try check(
        try await connection.perform(method, target, body, deadline: deadline, receive: receive))
    } catch {
      guard error.code == .notRunning else { throw error }
      throw ControlError(.notRunning, "no machine named \(name) is running", remedy: "`lis vm list` shows what runs")
    }
  }

  func get<Value: Decodable>(_ target: String) async throws(ControlError) -> Value {
    try decode(try await perform(.GET, target, .none, deadline: patience))
  }

  @discardableResult
  func send(
    _ method: HTTPMethod, _ target: String, longerBy seconds: Double? = nil
  ) async throws(ControlError) -> [UInt8] {
    try await perform(method, target, .none, deadline: patience + .milliseconds(Int64((seconds ?? 0) * 1000)))
  }

  @discardableResult
  func send(
    _ method: HTTPMethod, _ target: String, _ body: some Encodable, longerBy seconds: Double? = nil
  ) async throws(ControlError) -> [UInt8] {
    let extra = Duration.milliseconds(Int64(min(max(seconds ?? 60, 0), 86_400) * 1000))
    return try await perform(method, target, .json(StrictJSON.encode(body)), deadline: patience + extra)
  }

  private func check(_ response: ControlConnection.Response) throws(ControlError) -> [UInt8] {
    guard response.status >= 300 else { return response.bytes }
    guard let error = try? StrictJSON.decodeAnswer(ControlError.self, from: response.bytes) else {
      throw ControlError(.hostFailure, "the machine answered with HTTP status \(response.status)")
    }
    throw error
  }

  func decode<Value: Decodable>(_ bytes: [UInt8]) throws(ControlError) -> Value {
    try StrictJSON.decodeAnswer(Value.self, from: bytes)
  }
}

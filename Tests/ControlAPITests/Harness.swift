// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ControlAPI

/// A server over a real UNIX socket with a fake machine behind it, in a folder of its own.
struct Harness: Sendable {
  let machine: FakeMachine
  let directory: RuntimeDirectory
  let client: ControlClient
  var socket: String { directory.socket(of: client.name) }

  static func run(
    limits: ControlLimits = ControlLimits(), hasConsole: Bool = true,
    _ body: @Sendable (Harness) async throws -> Void
  ) async throws {
    let directory = RuntimeDirectory(path: temporaryPath())
    let name = try MachineName.parse("web")
    let claim = try RuntimeClaim(name, in: directory)
    let machine = FakeMachine(hasConsole: hasConsole)
    let server = try await ControlServer.start(
      serving: machine, on: ControlServer.listen(at: claim.socket), limits: limits)
    let harness = Harness(machine: machine, directory: directory, client: ControlClient(name, in: directory))
    let result = await Result { try await body(harness) }
    machine.events.finish()
    machine.console?.finish()
    await server.stop()
    claim.release()
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [], "nothing is left behind")
    try? FileManager.default.removeItem(atPath: directory.path)
    try result.get()
  }

  static func temporaryPath() -> String { "/tmp/lis-test-\(UUID().uuidString.prefix(13))" }

  /// Waits for something that happens on another task.
  func eventually(
    _ what: Comment, timeout: Duration = .seconds(10), _ condition: @Sendable () async -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let end = ContinuousClock.now + timeout
    while ContinuousClock.now < end {
      if await condition() { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record(what, sourceLocation: sourceLocation)
  }
}

extension Result where Failure == any Error {
  init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}

/// The error that something must end in; `nil`, and the test fails there, if it does not.
func failure(_ body: () async throws -> some Any) async -> ControlError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? ControlError
  }
}

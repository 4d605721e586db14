// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import Testing

@testable import VirtualMachine

/// A serial port that takes `room` bytes at a time and is read `reads` times.
private final class Port: Sendable {
  private let state = Mutex((bytes: [UInt8](), room: 0))
  var bytes: [UInt8] { state.withLock { $0.bytes } }

  func take(_ bytes: [UInt8]) -> Int {
    state.withLock { state in
      let count = min(bytes.count, state.room)
      state.bytes += bytes.prefix(count)
      state.room -= count
      return count
    }
  }

  func makeRoom(_ count: Int) { state.withLock { $0.room = count } }

  func waitFor(_ count: Int) async throws {
    for _ in 0..<500 where bytes.count < count { try await Task.sleep(for: .milliseconds(10)) }
  }
}

@Suite struct ConsoleTests {
  @Test func whatIsPastedFollowsAsTheGuestReads() async throws {
    let (input, port) = (SerialInput(), Port())
    input.connect { port.take($0) }
    port.makeRoom(4096)
    let text = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    input.type(text)
    input.type([1, 2, 3])
    #expect(port.bytes.count == 4096)
    for read in 2...5 {
      port.makeRoom(4096)
      try await port.waitFor(min(read * 4096, 20_003))
    }
    #expect(port.bytes == text + [1, 2, 3])
    port.makeRoom(10)
    input.type([4])
    #expect(port.bytes.last == 4)
  }

  @Test func aGuestThatReadsNothingCostsABoundedQueue() async throws {
    let (input, port) = (SerialInput(), Port())
    input.connect { port.take($0) }
    for _ in 0..<3 { input.type([UInt8](repeating: 7, count: SerialInput.limit)) }
    port.makeRoom(.max)
    try await port.waitFor(SerialInput.limit)
    try await Task.sleep(for: .milliseconds(50))
    #expect(port.bytes.count == SerialInput.limit)
  }

  @Test func nobodyWaitsForAPortThatIsNotThere() {
    SerialInput().type([1])
  }

  /// One at a time: dispositions belong to the process.
  @Test func theNewestWatchGetsSignalsAndGivesThemBack() async throws {
    let seen = Mutex<[String]>([])
    func wait(for count: Int) async throws {
      for _ in 0..<500 where seen.withLock({ $0.count }) < count { try await Task.sleep(for: .milliseconds(10)) }
    }
    let first = try SignalWatch { _ in seen.withLock { $0.append("first") } }
    let second = try SignalWatch { _ in seen.withLock { $0.append("second") } }
    kill(getpid(), SIGHUP)
    try await wait(for: 1)
    second.end()
    kill(getpid(), SIGHUP)
    try await wait(for: 2)
    // The older one may end first.
    let third = try SignalWatch { _ in seen.withLock { $0.append("third") } }
    first.end()
    kill(getpid(), SIGHUP)
    try await wait(for: 3)
    third.end()
    #expect(seen.withLock { $0 } == ["second", "first", "third"])
    var action = sigaction()
    _ = unsafe sigaction(SIGHUP, nil, &action)
    #expect(unsafe action.__sigaction_handler.sa_handler == nil)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import ControlAPI

/// Streaming uploads: size, order, back-pressure, early refusals, clients that go away.
@Suite struct FileCopyTests {
  /// A source of `count` bytes that can be checked at the other end, in chunks of odd size.
  static func source(_ count: Int, sent: Collected<Int> = Collected()) -> FileCopySource {
    let position = Counter(0)
    return FileCopySource(byteCount: UInt64(count)) { () throws(ControlError) -> [UInt8]? in
      let start = position.value
      guard start < count else { return nil }
      let end = min(count, start + 50_001)
      position.value = end
      sent.append(end - start)
      return (start..<end).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }
  }

  static func expected(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

  @Test(arguments: [0, 1, 65_536, 3_000_000])
  func copies(count: Int) async throws {
    try await Harness.run { harness in
      let request = FileCopyRequest(path: "/tmp/größe \(count)%.bin", createFolders: true)
      let result = try await harness.client.copyFile(request, from: Self.source(count))
      #expect(result.byteCount == UInt64(count))
      #expect(harness.machine.state.value.withLock { $0.files[request.path] } == Self.expected(count))
    }
  }

  @Test func refusesAnExistingTargetEarly() async throws {
    try await Harness.run { harness in
      let request = FileCopyRequest(path: "/tmp/there")
      _ = try await harness.client.copyFile(request, from: Self.source(5))
      let sent = Collected<Int>()
      let error = await failure {
        try await harness.client.copyFile(request, from: Self.source(64 << 20, sent: sent))
      }
      #expect(error?.code == .alreadyExists)
      #expect(sent.values.reduce(0, +) < 48 << 20, "the file was not read to its end for nothing")
      do {
        let answer = try await harness.client.describe()
        #expect(answer.name == "web")
      }
    }
  }

  @Test func aLocalFailureCancelsInTheGuest() async throws {
    try await Harness.run { harness in
      let turns = Counter(0)
      let broken = ControlError(.input, "cannot read the file: input/output error")
      let source = FileCopySource(byteCount: 1_000_000) { () throws(ControlError) -> [UInt8]? in
        turns.value += 1
        if turns.value > 3 { throw broken }
        return [UInt8](repeating: 7, count: 1000)
      }
      await #expect(throws: broken) {
        try await harness.client.copyFile(FileCopyRequest(path: "/tmp/x"), from: source)
      }
      try await harness.eventually("the machine learns of it") {
        harness.machine.state.value.withLock { $0.copyEnd?.code } == .cancelled
      }
      #expect(harness.machine.state.value.withLock { $0.files.isEmpty })
    }
  }

  /// A guest that never keeps up, and then stops: all along the client may be ahead by what pipe and sockets hold.
  @Test func aSlowGuestHoldsTheClientBack() async throws {
    try await Harness.run { harness in
      harness.machine.state.value.withLock { $0.copyIsHeldAfter = 1 }
      let sent = Counter(0)
      let chunk = [UInt8](repeating: 7, count: 1 << 16)
      let source = FileCopySource(byteCount: 32 << 20) { () throws(ControlError) -> [UInt8]? in
        guard sent.value < 32 << 20 else { return nil }
        sent.value += chunk.count
        return chunk
      }
      async let copied = harness.client.copyFile(FileCopyRequest(path: "/tmp/slow"), from: source)
      for step in 0..<80 {
        let taken = step * BodyPipe.chunkBytes
        harness.machine.state.value.withLock { $0.copyIsHeldAfter = taken + 1 }
        try await Task.sleep(for: .milliseconds(10))
        let ahead = sent.value - taken
        #expect(ahead < 2 << 20, "after \(taken) bytes the client is ahead by \(ahead)")
      }
      harness.machine.state.value.withLock { $0.copyIsHeldAfter = .max }
      #expect(try await copied.byteCount == 32 << 20)
    }
  }

  /// The whole body has come and waits in the host when the client goes away.
  @Test(arguments: [10, 100_000])
  func aClientThatGoesAwayAtTheEndCancels(count: Int) async throws {
    try await Harness.run { harness in
      harness.machine.state.value.withLock { $0.copyIsHeldAfter = 1 }
      let copy = Task {
        try await harness.client.copyFile(FileCopyRequest(path: "/tmp/late"), from: Self.source(count))
      }
      // What has not been taken by then has long been sent.
      try await harness.eventually("the guest takes the first of it") {
        harness.machine.state.value.withLock { $0.copyTaken } > 0
      }
      try await Task.sleep(for: .milliseconds(300))
      copy.cancel()
      try await harness.eventually("the machine learns of it") {
        harness.machine.state.value.withLock { $0.copyEnd?.code } == .cancelled
      }
      #expect(harness.machine.state.value.withLock { $0.files.isEmpty })
    }
  }

  @Test func aFullPipeSaysSo() async throws {
    let pipe = BodyPipe(announcedByteCount: nil) {}
    while !pipe.isFull { pipe.push([UInt8](repeating: 1, count: 100_000)) }
    #expect(try await pipe.next()?.count == 65_536)
    pipe.finish()
    var rest = 0
    while let chunk = try await pipe.next() { rest += chunk.count }
    #expect(rest == 300_000 - 65_536)
  }

  @Test(arguments: [
    "", "?path=relative", "?path=/folder/", "?path=/a&overwrite=maybe", "?path=/a&mode=1", "?path=/a&path=/b",
  ])
  func refusesBadQueries(query: String) async throws {
    try await Harness.run { harness in
      let raw = try await RawClient.exchange(
        harness.socket, "PUT /v1/files\(query) HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
      #expect(raw.status == 400, "\(raw.text)")
    }
  }
}

/// A counter that closures share.
final class Counter: Sendable {
  private let state: Mutex<Int>
  init(_ value: Int) { state = Mutex(value) }
  var value: Int {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization
import Testing

@testable import ControlAPI

/// The control API group of what the other side will try. After each case the machine must still answer.
@Suite struct HostileClientTests {
  private static func put(_ body: String) -> String {
    "PUT /v1/kvp/external/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  private static let hastyLimits: ControlLimits = {
    var limits = ControlLimits()
    limits.headTime = .seconds(10)
    limits.bodyTime = .milliseconds(200)
    limits.streamIdleTime = .milliseconds(200)
    limits.lingerTime = .milliseconds(200)
    limits.connections = 32
    return limits
  }()

  private func expectAlive(_ harness: Harness) async throws {
    do {
      let answer = try await harness.client.describe()
      #expect(answer.name == "web")
    }
  }

  @Test(arguments: [
    ("{", "the body is not valid JSON"),
    ("null", "the body must be a list or an object"),
    ("[]", "the body must be a list or an object"),
    ("{\"value\":1}", "field \\\"value\\\" must be text"),
    ("{\"value\":null}", "field \\\"value\\\" must be text, not null"),
    ("{}", "field \\\"value\\\" is missing"),
    ("{\"value\":\"a\",\"kind\":\"blob\"}", "field \\\"kind\\\" has a value that is not known"),
    ("{\"value\":\"a\",\"colour\":1}", "unknown field \\\"colour\\\""),
    ("{\"value\":\"a\",\"value\":\"b\"}", "field \\\"value\\\" is given twice"),
    ("{\"value\":\"a\",\"v\\u0061lue\":\"b\"}", "field \\\"value\\\" is given twice"),
    ("{\"value\":\"unterminated", "the body is not valid JSON"),
    ("}}}}", "the body is not valid JSON"),
    (String(repeating: "[", count: 10_000), "the body is nested deeper than 16 levels"),
    (String(repeating: "{\"a\":", count: 10_000), "the body is nested deeper than 16 levels"),
  ])
  func badJSON(body: String, message: String) async throws {
    try await Harness.run { harness in
      let answer = try await RawClient.exchange(harness.socket, Self.put(body))
      #expect(answer.status == 400)
      #expect(answer.body.contains(message), "\(answer.body)")
      try await expectAlive(harness)
    }
  }

  @Test func invalidUTF8() async throws {
    try await Harness.run { harness in
      let body: [UInt8] = Array("{\"value\":\"".utf8) + [0xc3, 0x28, 0xff] + Array("\"}".utf8)
      let head =
        "PUT /v1/kvp/external/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.count)\r\n\r\n"
      let answer = try await RawClient.exchange(harness.socket, [Array(head.utf8) + body])
      #expect(answer.body.contains("not valid UTF-8"))
      for target in ["/v1/kvp/external/%ff", "/v1/kvp/external/%0", "/v1/kvp/external/%zz", "/v1/kvp/external/%00"] {
        let answer = try await RawClient.exchange(harness.socket, "GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(answer.status == 400)
      }
      try await expectAlive(harness)
    }
  }

  @Test(arguments: [
    ("GET /v1/nothing", 404), ("GET /", 404), ("GET /v1/machine/", 404), ("GET //v1/machine", 404),
    ("GET /v1/kvp/attic", 404), ("GET /v1/kvp/external/absent", 404), ("PATCH /v1/services/coffee", 404),
    ("DELETE /v1/machine", 405), ("BREW /v1/machine", 400), ("GET /v1/machine?verbose=1", 400),
    ("GET /v1/events?since=-1", 400), ("GET /v1/events?since=99999999999999999999", 400),
    ("GET /v1/events?follow=perhaps", 400), ("OPTIONS *", 400), ("GET http://elsewhere/v1/machine", 400),
  ])
  func badTargets(request: String, status: Int) async throws {
    try await Harness.run { harness in
      let body = request.hasPrefix("PATCH") ? "Content-Length: 16\r\n\r\n{\"enabled\":true}" : "\r\n"
      let answer = try await RawClient.exchange(harness.socket, "\(request) HTTP/1.1\r\nHost: x\r\n\(body)")
      #expect(answer.status == status, "\(answer.text)")
      try await expectAlive(harness)
    }
  }

  @Test(arguments: [
    "\0\0\0\0", "SSH-2.0-OpenSSH\r\n", "GET /v1/machine HTTP/9.9\r\n\r\n", "GET\r\n\r\n", "{\"a\":1}\n",
  ])
  func noHTTP(text: String) async throws {
    try await Harness.run(limits: Self.hastyLimits) { harness in
      let answer = try await RawClient.exchange(harness.socket, [Array(text.utf8)])
      #expect(answer.status == 400 || answer.text.isEmpty, "\(answer.text)")
      try await expectAlive(harness)
    }
  }

  @Test func hugeBody() async throws {
    try await Harness.run { harness in
      // A gigabyte announced, then one that is not announced.
      let announced = try await RawClient.exchange(
        harness.socket,
        "POST /v1/machine/stop HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1073741824\r\n\r\n{\"mode\":"
      )
      #expect(announced.status == 413)
      let head = "POST /v1/machine/stop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      let chunk = Array("10000\r\n".utf8) + [UInt8](repeating: 0x20, count: 0x10000) + Array("\r\n".utf8)
      let endless = try await RawClient.exchange(
        harness.socket, [Array(head.utf8)] + Array(repeating: chunk, count: 200))
      #expect(endless.status == 413)
      #expect(harness.machine.calls.isEmpty)
      try await expectAlive(harness)
    }
  }

  @Test func hugeHead() async throws {
    try await Harness.run { harness in
      let long = String(repeating: "a", count: 1 << 20)
      for request in [
        "GET /\(long) HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nX-Long: \(long)\r\n\r\n",
        "GET / HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 10_000) + "\r\n",
      ] {
        let answer = try await RawClient.exchange(harness.socket, [Array(request.utf8)])
        #expect([400, 413].contains(answer.status) || answer.text.isEmpty, "\(answer.text.prefix(200))")
      }
      try await expectAlive(harness)
    }
  }

  @Test func slowHead() async throws {
    var limits = ControlLimits()
    limits.headTime = .milliseconds(500)
    try await Harness.run(limits: limits) { harness in
      let head = Array("GET /v1/machine HTTP/1.1\r\nHost: x\r\n".utf8).map { [$0] }
      let slow = try await RawClient.exchange(harness.socket, head, pause: .milliseconds(60))
      #expect(slow.text.isEmpty, "cut after the head's time")
    }
  }

  @Test func slowBody() async throws {
    try await Harness.run(limits: Self.hastyLimits) { harness in
      let request = Array("POST /v1/machine/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".utf8)
      let spaces = Array(repeating: [UInt8](repeating: 0x20, count: 1), count: 100)
      let answer = try await RawClient.exchange(harness.socket, [request] + spaces, pause: .milliseconds(20))
      #expect(answer.status == 504)
      try await expectAlive(harness)
    }
  }

  @Test func stalledUpload() async throws {
    try await Harness.run(limits: Self.hastyLimits) { harness in
      let answer = try await RawClient.exchange(
        harness.socket,
        "PUT /v1/files?path=/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\nabc")
      #expect(answer.status == 504)
      #expect(harness.machine.state.value.withLock { $0.files.isEmpty && $0.copyEnd?.code == .timedOut })
      try await expectAlive(harness)
    }
  }

  @Test func aThousandHalfOpenClients() async throws {
    var limits = ControlLimits()
    limits.connections = 32
    try await Harness.run(limits: limits) { harness in
      var channels: [any Channel] = []
      for turn in 0..<1000 {
        let client = try await RawClient.open(harness.socket)
        channels.append(client)
        if turn % 3 == 0 { try? await client.writeAndFlush(ByteBuffer(string: "GET /v1/mach")).get() }
        if turn % 100 == 99 { try await expectAlive(harness) }
      }
      try await expectAlive(harness)
      for channel in channels { try? await channel.close().get() }
    }
  }

  @Test func aHundredClientsAtOnce() async throws {
    try await Harness.run { harness in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<100 {
          group.addTask {
            let item = KeyValueItem(pool: .external, key: "key \(index)", value: "\(index)")
            try await harness.client.setKeyValueItem(item)
            do {
              let answer = try await harness.client.keyValueItem(item.key, in: .external)
              #expect(answer == item)
            }
          }
        }
        try await group.waitForAll()
      }
      do {
        let answer = try await harness.client.keyValueItems(in: .external)
        #expect(answer.count == 100)
      }
    }
  }

  @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
    try await Harness.run { harness in
      let one = "GET /v1/kvp/guest HTTP/1.1\r\nHost: x\r\n\r\n"
      let last = "GET /v1/absent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      let answer = try await RawClient.exchange(harness.socket, [Array((one + one + one + last).utf8)])
      #expect(answer.text.matches(of: /HTTP\/1.1 200 OK/).count == 3, "\(answer.text)")
      #expect(answer.text.matches(of: /HTTP\/1.1 404/).count == 1)
    }
  }

  @Test func aClientThatGoesAwayDoesNotEndACall() async throws {
    try await Harness.run { harness in
      for _ in 0..<20 {
        let client = try await RawClient.open(harness.socket)
        let request = "POST /v1/machine/nmi HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        try await client.writeAndFlush(ByteBuffer(string: request)).get()
        try await client.close().get()
      }
      try await harness.eventually("each request is carried out") { harness.machine.calls.count == 20 }
      try await expectAlive(harness)
    }
  }

  @Test func readersThatGoAwayAreForgotten() async throws {
    try await Harness.run { harness in
      for _ in 0..<(EventLog.maximumReaders + 20) {
        let client = try await RawClient.open(harness.socket)
        let request = "GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n"
        try await client.writeAndFlush(ByteBuffer(string: request)).get()
        try await Task.sleep(for: .milliseconds(2))
        try await client.close().get()
      }
      harness.machine.events.record(.state, "still here")
      let seen = Collected<Event>()
      try await harness.client.events(since: 0, follow: false) { seen.append($0) }
      #expect(seen.values.count == 1)
      try await harness.eventually("a new reader finds a place") {
        (try? harness.machine.events.follow(since: nil)) != nil
      }
    }
  }
}

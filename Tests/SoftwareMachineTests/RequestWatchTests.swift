// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SoftwareMachine

@Suite struct RequestWatchTests {
  /// What a watch finds, with the bytes cut into pieces of every size.
  private func found(_ text: String) -> [ClientRequest] {
    let bytes = Array(text.utf8)
    var all: [[ClientRequest]] = []
    for size in [1, 2, 3, 7, max(1, bytes.count)] {
      var watch = RequestWatch()
      var requests: [ClientRequest] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        watch.receive(bytes[start..<min(bytes.count, start + size)]) { requests.append($0) }
      }
      all.append(requests)
    }
    #expect(Set(all.map(\.count)).count == 1 && all.allSatisfy { $0 == all[0] })
    return all[0]
  }

  private func request(_ method: String, _ target: String, _ body: String) -> ClientRequest {
    ClientRequest(method: method, target: target, body: Array(body.utf8))
  }

  @Test func bodiesWithALengthAndInChunks() {
    let text = """
      GET /v1/machine HTTP/1.1\r\nHost: x\r\n\r\n\
      POST /v1/disks?a=b HTTP/1.1\r\nhost: x\r\ncontent-LENGTH: 4\r\n\r\n{"a"\
      PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n\
      POST /c HTTP/1.1\nContent-Length:2\n\nxy
      """
    #expect(
      found(text) == [
        request("POST", "/v1/disks?a=b", "{\"a\""), request("PUT", "/b", "abc0123456789"), request("POST", "/c", "xy"),
      ])
  }

  /// What is uploaded passes by unread, and what it says is no request.
  @Test func largeBodiesArePassedOver() {
    let inside = "POST /evil HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\n"
    let large = String(repeating: inside, count: 2000)
    let text =
      "PUT /copy HTTP/1.1\r\nContent-Length: \(large.utf8.count)\r\n\r\n\(large)"
      + "POST /disk HTTP/1.1\r\nContent-Length: 1\r\n\r\ny"
    var watch = RequestWatch()
    var requests: [ClientRequest] = []
    watch.receive(Array(text.utf8)[...]) { requests.append($0) }
    #expect(requests == [request("POST", "/disk", "y")])
  }

  @Test(arguments: [
    "hello\r\n", "GET / HTTP/2\r\n\r\n", "GET / HTTP/1.1\r\nbroken\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "GET / HTTP/1.1\r\nUpgrade: tcp\r\n\r\n",
    "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", String(repeating: "x", count: 20_000) + "\r\n",
  ])
  func whatIsNotUnderstoodEndsTheWatch(start: String) {
    #expect(found(start + "POST /disk HTTP/1.1\r\nContent-Length: 1\r\n\r\ny").isEmpty)
  }

  @Test func noiseNeverTraps() {
    var generator = SystemRandomNumberGenerator()
    let pieces = [
      "\r\n", "POST /x HTTP/1.1\r\n", "Content-Length: 18446744073709551615\r\n", "transfer-encoding: chunked\r\n",
    ]
    for _ in 0..<500 {
      var watch = RequestWatch()
      for _ in 0..<20 {
        let noise = (0..<9).map { _ in UInt8.random(in: 0...127, using: &generator) }
        let piece =
          Bool.random(using: &generator) ? noise : Array(pieces.randomElement(using: &generator)?.utf8 ?? "".utf8)
        watch.receive(piece[...]) { _ in }
      }
    }
  }
}

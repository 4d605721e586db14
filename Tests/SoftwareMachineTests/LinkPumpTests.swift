// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import SoftwareMachine

@Suite struct LinkPumpTests {
  private func socketPair() -> (Int32, Int32) {
    var ends: [Int32] = [-1, -1]
    #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
    return (ends[0], ends[1])
  }

  /// One turn of a pump: waits a little for what it wants, then lets it work.
  private func turn(_ pump: inout LinkPump) throws -> [Link.Event] {
    var entries: [pollfd] = []
    pump.prepare(&entries)
    _ = unsafe poll(&entries, nfds_t(entries.count), 100)
    var events: [Link.Event] = []
    try pump.process(entries, events: &events)
    return events
  }

  @Test func aFullDiskUnderTheOutputIsReported() throws {
    let port = socketPair()
    let full = unsafe open("/dev/full", O_WRONLY)
    defer { for end in [port.0, port.1, full] { close(end) } }
    var outer = LinkPump(role: .outer, port: port.0)
    var inner = LinkPump(role: .inner, port: port.1)
    outer.link.sendStart(
      StartRecord(ordersLength: 0, wallClock: 1, seed: [UInt8](repeating: 7, count: 32), files: []), orders: [])
    outer.attach(writer: full, to: .output, owned: false)
    outer.writePort()
    _ = try turn(&inner)
    inner.link.send(Array("console".utf8)[...], on: .output)
    inner.writePort()
    _ = try turn(&outer)
    #expect(outer.lostOutput == ENOSPC)
    #expect(!outer.hasPending)
  }

  /// Seen with a real guest: every second API call was lost, since the first bytes of a connection came in the same
  /// read as its opening, before the inner end had connected it.
  @Test func bytesThatComeWithTheOpeningWaitForTheConnection() throws {
    let port = socketPair()
    let client = socketPair()
    let server = socketPair()
    defer { for end in [port.0, port.1, client.0, server.0] { close(end) } }
    var outer = LinkPump(role: .outer, port: port.0)
    var inner = LinkPump(role: .inner, port: port.1)
    outer.link.sendStart(
      StartRecord(ordersLength: 0, wallClock: 1, seed: [UInt8](repeating: 7, count: 32), files: []), orders: [])
    let opened = outer.link.openConnection()
    let stream = try #require(opened)
    outer.attach(socket: client.1, to: stream)
    outer.link.send(Array("GET / HTTP/1.1\r\n".utf8)[...], on: stream)
    outer.writePort()

    let events = try turn(&inner)
    #expect(events.contains(.opened(stream)))
    inner.attach(socket: server.1, to: stream)
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = unsafe recv(server.0, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    #expect(count == 16)
    #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) == "GET / HTTP/1.1\r\n")
    inner.closeAll()
    outer.closeAll()
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// The link's shell, the same on both ends: moves bytes between the port, the link and the descriptors of its streams.
/// The owner polls, one thread.
struct LinkPump {
  /// What one stream is connected to here.
  private struct Endpoint {
    /// -1: opened by the peer and not attached yet.
    let descriptor: Int32
    let isSocket: Bool
    /// Closed by us when both directions are done.
    let isOwned: Bool
    var reads: Bool
    var writes: Bool
    var peerEnded = false
    /// Sees what is read.
    var watch: ((ArraySlice<UInt8>) -> Void)?
    /// Received and not yet written; at most a window.
    var pending: [UInt8] = []
  }

  var link: Link
  private let port: Int32
  private var endpoints: [StreamID: Endpoint] = [:]
  private var polled: [(stream: StreamID?, index: Int)] = []

  /// Why the output's descriptor takes no more, once; the owner clears it.
  var lostOutput: Int32?

  /// No more is read from streams while so much waits for the port.
  private static let outgoingHighWater = 256 << 10
  /// Below PIPE_BUF, so that a write after POLLOUT does not block a pipe that others share.
  private static let writeLimit = 4096

  init(role: Link.Role, port: Int32) {
    link = Link(role: role)
    self.port = port
    Stream.setNonblocking(port)
  }

  /// The descriptor of a stream whose bytes we read and send.
  mutating func attach(reader descriptor: Int32, to stream: StreamID, owned: Bool) {
    endpoints[stream] = Endpoint(
      descriptor: descriptor, isSocket: false, isOwned: owned, reads: true, writes: false)
  }

  /// The descriptor of a stream whose bytes we receive and write.
  mutating func attach(writer descriptor: Int32, to stream: StreamID, owned: Bool) {
    endpoints[stream] = Endpoint(
      descriptor: descriptor, isSocket: false, isOwned: owned, reads: false, writes: true)
  }

  /// A connected socket, ours from now on. `watch` sees what is read from it.
  mutating func attach(
    socket descriptor: Int32, to stream: StreamID, watch: ((ArraySlice<UInt8>) -> Void)? = nil
  ) {
    Stream.setNonblocking(descriptor)
    var endpoint = Endpoint(descriptor: descriptor, isSocket: true, isOwned: true, reads: true, writes: true)
    endpoint.watch = watch
    if let waiting = endpoints[stream] {
      endpoint.pending = waiting.pending
      endpoint.peerEnded = waiting.peerEnded
    }
    endpoints[stream] = endpoint
    flush(stream)
  }

  /// Whether received bytes still wait for a descriptor of ours.
  var hasPending: Bool { endpoints.contains { !$0.value.pending.isEmpty } }

  /// Whether one of these streams still has something to read for the peer right now.
  func hasUnread(_ streams: [StreamID]) -> Bool {
    streams.contains { stream in
      guard let endpoint = endpoints[stream], endpoint.reads else { return false }
      var entry = [pollfd(fd: endpoint.descriptor, events: Int16(POLLIN), revents: 0)]
      return Stream.poll(&entry, milliseconds: 0)
    }
  }

  /// Appends what this end waits for.
  mutating func prepare(_ entries: inout [pollfd]) {
    polled.removeAll(keepingCapacity: true)
    var wanted = POLLIN
    if !link.outgoing.isEmpty { wanted |= POLLOUT }
    polled.append((nil, entries.count))
    entries.append(pollfd(fd: port, events: Int16(wanted), revents: 0))
    let mayRead = link.outgoing.count < Self.outgoingHighWater
    for (stream, endpoint) in endpoints {
      var wanted: Int32 = 0
      if endpoint.reads && mayRead && link.sendable(stream) > 0 { wanted |= POLLIN }
      if endpoint.writes && !endpoint.pending.isEmpty && endpoint.descriptor >= 0 { wanted |= POLLOUT }
      // An entry without a wish would still wake us for a hang-up, again and again.
      guard wanted != 0 else { continue }
      polled.append((stream, entries.count))
      entries.append(pollfd(fd: endpoint.descriptor, events: Int16(wanted), revents: 0))
    }
  }

  /// Moves bytes for the entries that are ready. Events that are not the pump's own business are appended.
  mutating func process(_ entries: [pollfd], events: inout [Link.Event]) throws(LinkError) {
    for (stream, index) in polled {
      let ready = Int32(entries[index].revents)
      guard ready != 0 else { continue }
      if let stream {
        if ready & (POLLIN | POLLHUP | POLLERR) != 0 { readStream(stream) }
        if ready & (POLLOUT | POLLHUP | POLLERR) != 0 { flush(stream) }
      } else if ready & (POLLIN | POLLHUP) != 0 {
        try readPort(&events)
      }
    }
    writePort()
  }

  private mutating func readPort(_ events: inout [Link.Event]) throws(LinkError) {
    var bytes: [UInt8] = []
    guard case .bytes = Stream.read(port, into: &bytes, limit: 65536) else { return }
    var received: [Link.Event] = []
    defer { events.append(contentsOf: received) }
    var own: [Link.Event] = []
    try link.receive(bytes[...], events: &own)
    for event in own {
      switch event {
      case .data(let stream, let bytes):
        guard endpoints[stream]?.writes == true else {
          link.consumed(bytes.count, on: stream)
          continue
        }
        endpoints[stream]?.pending.append(contentsOf: bytes)
        flush(stream)
      case .ended(let stream):
        endpoints[stream]?.peerEnded = true
        flush(stream)
      case .reset(let stream): drop(stream)
      case .opened(let stream):
        // Its first bytes may have come in the same read; they wait here until the owner has connected it.
        endpoints[stream] = Endpoint(descriptor: -1, isSocket: true, isOwned: false, reads: false, writes: true)
        received.append(event)
      default: received.append(event)
      }
    }
  }

  /// Writes what the port takes now.
  mutating func writePort() {
    guard !link.outgoing.isEmpty else { return }
    if case .bytes(let count) = Stream.write(port, link.outgoing[...], limit: 32768) { link.sent(count) }
  }

  private mutating func readStream(_ stream: StreamID) {
    guard let endpoint = endpoints[stream], endpoint.reads else { return }
    let room = min(link.sendable(stream), Frame.maximumPayload)
    guard room > 0 else { return }
    var bytes: [UInt8] = []
    switch Stream.read(endpoint.descriptor, into: &bytes, limit: room) {
    case .bytes:
      endpoint.watch?(bytes[...])
      link.send(bytes[...], on: stream)
    case .wait: break
    case .end, .failed:
      link.end(stream)
      endpoints[stream]?.reads = false
      dropIfDone(stream)
    }
  }

  private mutating func flush(_ stream: StreamID) {
    guard let endpoint = endpoints[stream], endpoint.writes, endpoint.descriptor >= 0 else { return }
    if !endpoint.pending.isEmpty {
      // Blocking descriptors (a terminal, an inherited pipe) are only written when poll says so.
      if !endpoint.isSocket {
        var entry = [pollfd(fd: endpoint.descriptor, events: Int16(POLLOUT), revents: 0)]
        guard Stream.poll(&entry, milliseconds: 0) else { return }
      }
      let limit = endpoint.isSocket ? Int.max : Self.writeLimit
      switch Stream.write(endpoint.descriptor, endpoint.pending[...], limit: limit) {
      case .bytes(let count):
        endpoints[stream]?.pending.removeSubrange(..<count)
        link.consumed(count, on: stream)
      case .wait: return
      case .end: return giveUp(stream)
      case .failed(let error):
        if stream == .output { lostOutput = error }
        return giveUp(stream)
      }
    }
    guard let rest = endpoints[stream], rest.pending.isEmpty, rest.peerEnded else { return }
    if rest.isSocket { _ = shutdown(rest.descriptor, Int32(SHUT_WR)) }
    endpoints[stream]?.writes = false
    dropIfDone(stream)
  }

  private mutating func giveUp(_ stream: StreamID) {
    link.reset(stream)
    drop(stream)
  }

  private mutating func dropIfDone(_ stream: StreamID) {
    guard let endpoint = endpoints[stream], !endpoint.reads, !endpoint.writes else { return }
    drop(stream)
  }

  private mutating func drop(_ stream: StreamID) {
    guard let endpoint = endpoints.removeValue(forKey: stream), endpoint.isOwned else { return }
    _ = close(endpoint.descriptor)
  }

  /// Closes everything that is ours but the port.
  mutating func closeAll() {
    for stream in Array(endpoints.keys) { drop(stream) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest
import VMBusHost

/// Our client on our server, without a wire. Whatever the client posts the server has at once; what the server says
/// the client has after `run`, which also opens whatever is to be opened.
@safe struct WiredGuest: ~Copyable {
  var client: BusClient
  var host: Host
  private let tables: UnsafeMutableRawPointer

  struct Host: BusClientSink {
    var server: BusServer
    var effects: [BusServerEffect] = []
    var events: [BusClientEvent] = []
    /// What the hypercall says instead of doing anything.
    var forcedStatus: HypercallStatus?

    mutating func post(_ payload: borrowing MessageBuffer, to connection: ConnectionID) -> HypercallStatus {
      if let forcedStatus { return forcedStatus }
      return server.receive(connection: connection, payload: payload.bytes, effects: &effects)
    }

    mutating func handle(_ event: BusClientEvent) { events.append(event) }
  }

  init(
    cap: ProtocolVersion = .v5_3, newest: ProtocolVersion = .v5_3, channels: Int = 16, gpadls: Int = 32
  ) {
    host = Host(server: BusServer(maximumVersion: cap, processorCount: 4, guestFrames: [0x1000..<0x8000]))
    let bytes = BusClient.tableBytes(channels: channels, gpadls: gpadls)
    unsafe tables = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
    client = unsafe BusClient(
      targetVP: VPIndex(2), newestVersion: newest,
      pages: ContactPages(interrupt: 0x1000, hostToGuestMonitor: 0x2000, guestToHostMonitor: 0x100_3000),
      tables: tables, channelCapacity: channels, gpadlCapacity: gpadls)
  }

  deinit { unsafe tables.deallocate() }

  /// Everything that is under way, to its end.
  mutating func run() {
    var quiet = false
    while !quiet {
      quiet = true
      for effect in host.effects {
        if case .openChannel(let opening) = effect { host.server.openCompleted(opening.ticket, success: true) }
      }
      host.effects = []
      while let message = host.server.nextMessage() {
        quiet = false
        host.server.removeFirstMessage()
        let payload = message.payload
        client.receive(payload.bytes, &host)
      }
    }
  }

  mutating func receive(_ message: HostMessage) {
    let payload = message.encoded
    client.receive(payload.bytes, &host)
  }

  mutating func receive(bytes: [UInt8]) { unsafe client.receive(bytes.span.bytes, &host) }

  mutating func takeEvents() -> [BusClientEvent] {
    defer { host.events = [] }
    return host.events
  }

  mutating func connect() throws(BusClientError) {
    try client.connect(to: &host)
    run()
    try client.requestOffers(&host)
    run()
  }

  /// Channel 1 offered and open with a ring of 8 pages.
  mutating func openFirst() throws -> GPADLID {
    _ = try host.server.offer(ScriptedGuest.heartbeat)
    try connect()
    let ring = try client.createGPADL(on: ChannelID(1), ConsecutiveFrames(first: 0x1000, count: 8), &host)
    run()
    try client.open(ChannelID(1), ring: ring, hostToGuestPageOffset: 4, targetVP: VPIndex(3), &host)
    run()
    host.events = []
    return ring
  }
}

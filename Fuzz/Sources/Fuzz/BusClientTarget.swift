// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest
import VMBusHost

/// The guest's end of the bus. A real server answers it, so that deep states are reached; on the way its messages are
/// now and then damaged, lost, doubled, or replaced by ones that nobody asked for.
enum BusClientTarget {
  /// Collects what the client posts and says.
  struct Sink: BusClientSink {
    var server: BusServer
    var effects: [BusServerEffect] = []
    var channels: [ChannelID] = []
    var gpadls: [GPADLID] = []
    var refusesPosts = 0

    mutating func post(_ payload: borrowing MessageBuffer, to connection: ConnectionID) -> HypercallStatus {
      if refusesPosts > 0 {
        refusesPosts -= 1
        return .invalidParameter
      }
      return server.receive(connection: connection, payload: payload.bytes, effects: &effects)
    }

    mutating func handle(_ event: BusClientEvent) {
      if case .offered(let offer) = event { channels.append(offer.channel) }
    }
  }

  static let capacity = (channels: 4, gpadls: 6)

  static func run(_ script: inout Script) {
    var sink = Sink(
      server: BusServer(
        maximumVersion: [.v5_3, .v5_0, .v4_1][script.choice(3)], processorCount: 2, guestFrames: [0..<0x10000]))
    var offers: [ChannelID] = []
    for _ in 0..<3 { BusServerTarget.offer(&sink.server, &offers) }
    let size = BusClient.tableBytes(channels: capacity.channels, gpadls: capacity.gpadls)
    let tables = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    defer { unsafe tables.deallocate() }
    var client = unsafe BusClient(
      pages: ContactPages(interrupt: 0x1000, hostToGuestMonitor: 0x2000, guestToHostMonitor: 0x3000), tables: tables,
      channelCapacity: capacity.channels, gpadlCapacity: capacity.gpadls)
    while !script.isEmpty {
      if script.oneIn(32) { sink.refusesPosts = script.choice(3) }
      // Most requests are refused in most states; that is what their typed errors are for.
      do throws(BusClientError) {
        try step(&script, &client, &sink)
      } catch {}
      for effect in sink.effects {
        if case .openChannel(let opening) = effect {
          sink.server.openCompleted(opening.ticket, success: !script.oneIn(8))
        }
      }
      sink.effects.removeAll()
      if let broken = client.brokenInvariant() { preconditionFailure("\(broken)") }
    }
  }

  static func step(_ script: inout Script, _ client: inout BusClient, _ sink: inout Sink) throws(BusClientError) {
    let channel = sink.channels.randomElement(&script) ?? ChannelID(script.word32())
    let gpadl = sink.gpadls.randomElement(&script) ?? GPADLID(script.word32())
    switch script.choice(16) {
    case 0: try client.connect(to: &sink)
    case 1: try client.requestOffers(&sink)
    case 2, 3:
      let frames = ConsecutiveFrames(first: 16, count: script.oneIn(8) ? script.choice(200) : 8)
      sink.gpadls.append(try client.createGPADL(on: channel, frames, &sink))
    case 4: try client.open(channel, ring: gpadl, hostToGuestPageOffset: 4, targetVP: VPIndex(0), &sink)
    case 5: try client.close(channel, &sink)
    case 6: try client.tearDown(gpadl, &sink)
    case 7: try client.modify(channel, targetVP: VPIndex(UInt32(script.choice(3))), &sink)
    case 8: try client.release(channel, &sink)
    case 9:
      if script.oneIn(8) { try client.unload(&sink) }
      if script.oneIn(64) { client.abandon() }
      if script.oneIn(16) { client.contactTimedOut(&sink) }
    case 10:
      do throws(BusServerError) { try sink.server.rescind(channel, effects: &sink.effects) } catch {}
    case 11:
      var message = hostMessage(&script, channel, gpadl)
      message.damage(&script)
      unsafe client.receive(message.bytes.span.bytes, &sink)
    default: deliver(&script, &client, &sink)
    }
  }

  static func deliver(_ script: inout Script, _ client: inout BusClient, _ sink: inout Sink) {
    for _ in 0...script.choice(8) {
      guard let message = sink.server.nextMessage() else { return }
      sink.server.removeFirstMessage()
      var wire = WireMessage()
      let payload = message.payload
      for index in 0..<payload.byteCount {
        wire.add((try? payload.bytes.read(UInt8.self, at: index)) ?? 0)
      }
      wire.damage(&script)
      for _ in 0..<(script.oneIn(16) ? script.choice(3) : 1) { unsafe client.receive(wire.bytes.span.bytes, &sink) }
    }
  }

  static let types: [UInt32] = [1, 1, 1, 2, 2, 4, 6, 6, 10, 10, 12, 12, 15, 17, 20, 23, 24, 24]

  /// What nobody asked for.
  static func hostMessage(_ script: inout Script, _ channel: ChannelID, _ gpadl: GPADLID) -> WireMessage {
    var message = WireMessage()
    let type = types[script.choice(types.count)]
    message.add(script.mostly(type))
    message.add(UInt32(0))
    switch type {
    case 1:
      message.add(script.take(32))
      message.pad(to: 184)
      message.add(script.mostly(UInt32(1 + script.choice(6))))
      message.add(script.word32())
      message.add(script.word32())
    case 15:
      message.add(script.mostly(UInt16(1)))
      message.add(UInt16(0))
      message.add(script.mostly(UInt32(4)))
    case 10:
      message.add(script.mostly(channel.rawValue))
      message.add(script.mostly(gpadl.rawValue))
      message.add(script.mostly(UInt32(0)))
    case 12: message.add(script.mostly(gpadl.rawValue))
    case 6, 24:
      message.add(script.mostly(channel.rawValue))
      message.add(script.mostly(UInt32(1)))
      message.add(script.mostly(UInt32(0)))
    default:
      message.add(script.mostly(channel.rawValue))
      message.add(script.take(32))
    }
    return message
  }
}

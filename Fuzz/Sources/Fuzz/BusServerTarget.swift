// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusHost

/// The host's end of the bus against a guest that mostly knows the protocol: mostly existing channels and GPADLs,
/// mostly consistent lengths. After each message the server's own invariants must hold, and a guest that then behaves
/// must still be served.
enum BusServerTarget {
  static func run(_ script: inout Script) {
    var server = BusServer(
      maximumVersion: [.v5_3, .v5_3, .v5_2, .v4_1, .v4_0][script.choice(5)], processorCount: 1 + script.choice(8),
      guestFrames: [0..<0xA0, 0x100..<0x8000])
    var effects: [BusServerEffect] = []
    var tickets: [OpenTicket] = []
    var offers: [ChannelID] = []
    for _ in 0..<3 { offer(&server, &offers) }
    while !script.isEmpty {
      switch script.choice(24) {
      case 0: offer(&server, &offers)
      case 1:
        guard let id = offers.randomElement(&script) else { break }
        do throws(BusServerError) { try server.rescind(id, effects: &effects) } catch {}
        offers.removeAll { $0 == id }
      case 2:
        if script.oneIn(4) { server.reset(effects: &effects) }
      case 3, 4, 5:
        guard let ticket = tickets.randomElement(&script) else { break }
        server.openCompleted(ticket, success: !script.oneIn(4))
      case 6, 7, 8, 9:
        for _ in 0...script.choice(16) {
          guard let message = server.nextMessage() else { break }
          precondition((try? HostMessage(decoding: message.payload.bytes)) == message.message, "own message unreadable")
          server.removeFirstMessage()
        }
      default:
        var message = guestMessage(&script)
        message.damage(&script)
        let port: ConnectionID =
          script.oneIn(24) ? ConnectionID(script.word32()) : script.oneIn(3) ? .legacyMessages : .messages
        _ = unsafe server.receive(connection: port, payload: message.bytes.span.bytes, effects: &effects)
      }
      for effect in effects {
        if case .openChannel(let opening) = effect {
          precondition(
            opening.guestToHostFrames.count >= 2 && opening.hostToGuestFrames.count >= 2, "ring without data")
          for frame in opening.guestToHostFrames + opening.hostToGuestFrames {
            precondition(frame < 0xA0 || (0x100..<0x8000).contains(frame), "ring outside memory")
          }
          tickets.append(opening.ticket)
        }
      }
      effects.removeAll(keepingCapacity: true)
      if tickets.count > 16 { tickets.removeFirst(8) }
      if let broken = server.brokenInvariant() { preconditionFailure(broken) }
    }
    liveness(&server)
  }

  /// A sound contact is answered whatever came before.
  static func liveness(_ server: inout BusServer) {
    var effects: [BusServerEffect] = []
    let contact = MessageBuffer(
      InitiateContact(version: .v4_0, targetVP: VPIndex(0), interruptPageOrTarget: 0x5000))
    let status = server.receive(connection: .legacyMessages, payload: contact.bytes, effects: &effects)
    precondition(status == .success, "a sound contact is refused: \(status)")
    var answered = false
    while let message = server.nextMessage() {
      if case .versionResponse(let response) = message.message { answered = response.isSupported }
      server.removeFirstMessage()
    }
    precondition(answered, "a sound contact is not answered")
  }

  static func offer(_ server: inout BusServer, _ offers: inout [ChannelID]) {
    let number = UInt64(offers.count % 5)
    let description = OfferDescription.integrationService(
      classID: GUID(low: number, high: 1), instanceID: GUID(low: number, high: 2))
    do throws(BusServerError) { offers.append(try server.offer(description)) } catch {}
  }

  static let types: [UInt32] = [14, 14, 3, 5, 5, 5, 7, 7, 8, 8, 8, 8, 9, 9, 9, 11, 11, 13, 16, 18, 19, 21, 22, 22]

  static func guestMessage(_ script: inout Script) -> WireMessage {
    var message = WireMessage()
    let type = types[script.choice(types.count)]
    message.add(script.mostly(type))
    message.add(UInt32(0))
    let channel = script.mostly(UInt32(1 + script.choice(5)))
    let gpadl = script.mostly(UInt32(0xE1E10 + script.choice(6)))
    switch type {
    case 14:
      let versions: [UInt32] = [0x50003, 0x50003, 0x50002, 0x50001, 0x50000, 0x40001, 0x40000, 0x30000, 0x60000]
      message.add(script.mostly(versions[script.choice(versions.count)]))
      message.add(script.mostly(UInt32(0)))
      message.add(script.mostly(UInt64(2)))
      message.add(script.mostly(UInt64(0x10_0000)))
      message.add(script.mostly(UInt64(0x10_1000)))
    case 5:
      message.add(channel)
      message.add(script.mostly(UInt32(1)))
      message.add(gpadl)
      message.add(script.mostly(UInt32(0)))
      message.add(script.mostly(UInt32(1 + script.choice(8))))
      message.pad(to: 148)
    case 8:
      let pages = script.oneIn(8) ? script.choice(256) : 4 + script.choice(8)
      message.add(channel)
      message.add(gpadl)
      message.add(script.mostly(UInt16(truncatingIfNeeded: 8 * (pages + 1))))
      message.add(script.mostly(UInt16(1)))
      message.add(UInt64(script.mostly(UInt32(pages * 4096))) | UInt64(script.mostly(UInt32(0))) << 32)
      for page in 0..<min(pages, 26) { message.add(script.oneIn(32) ? script.word64() : UInt64(0x100 + page)) }
    case 9:
      message.add(UInt32(0))
      message.add(gpadl)
      for page in 0..<script.choice(29) { message.add(UInt64(0x200 + page)) }
    case 11:
      message.add(channel)
      message.add(gpadl)
    case 22:
      message.add(channel)
      message.add(script.mostly(UInt32(script.choice(4))))
    case 7, 13, 19: message.add(channel)
    default: message.add(script.take(script.choice(64)))
    }
    return message
  }
}

extension Array {
  func randomElement(_ script: inout Script) -> Element? { isEmpty ? nil : self[script.choice(Swift.min(count, 256))] }
}

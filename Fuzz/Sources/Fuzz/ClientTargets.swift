// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import VMBus

// The guest's end of each integration service against a host that mostly sends what the service knows: negotiations,
// requests with sound headers and odd bodies, requests out of turn.

enum ClientTargets {
  /// Packets for one service. `body` writes what follows the 28 header bytes.
  static func packet(
    _ script: inout Script, _ service: IntegrationService, bodySize: Int,
    body: (inout Script, inout WireMessage) -> Void
  ) -> [UInt8] {
    var content = WireMessage()
    let isNegotiation = script.oneIn(6)
    if isNegotiation {
      let frameworks = service.frameworkVersions
      let messages = service.messageVersions
      content.add(script.mostly(UInt16(truncatingIfNeeded: frameworks.count)))
      content.add(script.mostly(UInt16(truncatingIfNeeded: messages.count)))
      content.add(UInt32(0))
      for index in 0..<frameworks.count { add(frameworks.version(at: index), to: &content) }
      let first = script.choice(max(1, messages.count))
      for index in 0..<messages.count { add(messages.version(at: (first + index) % messages.count), to: &content) }
    } else {
      body(&script, &content)
      content.pad(to: script.oneIn(24) ? 0 : bodySize)
    }
    var message = WireMessage()
    message.add(script.oneIn(64) ? script.word32() : UInt32(1))
    message.add(script.mostly(UInt32(20 + content.bytes.count)))
    message.add(UInt32(3))
    message.add(script.mostly(isNegotiation ? UInt16(0) : service.messageType.rawValue))
    message.add(UInt32(3))
    message.add(script.mostly(UInt16(truncatingIfNeeded: content.bytes.count)))
    message.add(UInt32(0))
    message.add(script.byte())
    message.add(script.mostly(UInt8(3)))
    message.add(UInt16(0))
    message.add(content.bytes)
    message.damage(&script)
    return message.bytes
  }

  private static func add(_ version: ServiceVersion?, to message: inout WireMessage) {
    message.add(version?.major ?? 0)
    message.add(version?.minor ?? 0)
  }

  /// Hands `packet` to `receive`; an answer must be a response of the same length and transaction.
  static func exchange(
    _ packet: [UInt8], _ receive: (inout MutableRawSpan) throws(ClientFault) -> ClientAnswer
  ) {
    var copy = packet
    do throws(ClientFault) {
      var span = copy.mutableSpan
      var bytes = unsafe span.mutableBytes
      guard try receive(&bytes) == .send else { return }
    } catch {
      return
    }
    precondition(copy.count == packet.count && copy[24] == packet[24], "an answer to something else")
    precondition(copy[25] & 4 != 0 && copy[25] & 2 == 0, "an answer that is none")
  }

  static func heartbeat(_ script: inout Script) {
    var client = HeartbeatClient()
    client.channelOpened()
    while !script.isEmpty {
      if script.oneIn(64) { client.channelOpened() }
      let packet = packet(&script, .heartbeat, bodySize: 40) { script, body in body.add(script.mostly(UInt64(1))) }
      exchange(packet) { (bytes: inout MutableRawSpan) throws(ClientFault) in try client.receive(&bytes) }
    }
  }

  static func shutdown(_ script: inout Script) {
    var client = ShutdownClient(hibernates: script.oneIn(2))
    client.channelOpened()
    while !script.isEmpty {
      if script.oneIn(64) { client.channelOpened() }
      let packet = packet(&script, .shutdown, bodySize: 2060) { script, body in
        body.add(script.mostly(UInt32(0x8000_0000)))
        body.add(script.mostly(UInt32(60)))
        body.add(script.mostly(UInt32(script.choice(6))))
        body.add(script.take(64))
      }
      exchange(packet) { (bytes: inout MutableRawSpan) throws(ClientFault) in try client.receive(&bytes) }
      if script.oneIn(2) { _ = client.takeAction() }
    }
  }

  static func time(_ script: inout Script) {
    var client = TimeSynchronizationClient()
    client.channelOpened()
    var reference: UInt64 = 1 << 30
    while !script.isEmpty {
      if script.oneIn(64) { client.channelOpened() }
      reference = script.oneIn(64) ? script.word64() : reference &+ UInt64(script.word16())
      let packet = packet(&script, .timeSynchronization, bodySize: 24) { script, body in
        body.add(script.mostly(UInt64(133_000_000_000_000_000)))
        body.add(script.mostly(reference))
        body.add(script.oneIn(2) ? script.mostly(UInt64(2)) : UInt64(1))
      }
      exchange(packet) { (bytes: inout MutableRawSpan) throws(ClientFault) in
        try client.receive(&bytes, referenceTime: reference)
      }
      _ = client.hostTime(at: script.mostly(reference))
      if let time = client.takeSetting(referenceTime: reference) {
        precondition(time >= TimeSynchronizationClient.earliest && time <= TimeSynchronizationClient.latest)
      }
    }
  }
}

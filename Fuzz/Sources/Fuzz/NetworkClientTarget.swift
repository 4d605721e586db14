// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceClients
import VMBus

/// The guest's end of a network adapter against a host that answers what was sent, mostly in the right form, and sends
/// frames that are mostly sound.
enum NetworkClientTarget {
  private static let bufferSize = 64 * 1728

  /// Whatever is copied must lie in the buffer.
  private struct Buffer: NetworkReceiveBuffer {
    var bytes: [UInt8]

    func copy(at offset: UInt32, into target: inout MutableRawSpan) {
      for index in 0..<target.byteCount { try? target.write(bytes[Int(offset) + index], at: index) }
    }
  }

  static func run(_ script: inout Script) {
    var client = NetworkClient(wantedSubChannels: 3, key: NetworkGuest.key)
    let table = UnsafeMutableRawPointer.allocate(
      byteCount: NetworkQueue.tableBytes(capacity: 8, sections: 8), alignment: 16)
    defer { unsafe table.deallocate() }
    var queue: NetworkQueue?
    var page = [UInt8](repeating: 0, count: 4096)
    var last: UInt64 = 0
    var outstanding: [UInt64: UInt64] = [:]
    var context: UInt64 = 0
    let buffers = NetworkClient.Buffers(
      receive: GPADLID(1), receiveByteCount: UInt32(bufferSize), send: GPADLID(2), sendByteCount: 65536)
    client.channelOpened(buffers)
    while !script.isEmpty {
      while true {
        var span = page.mutableSpan
        var raw = unsafe span.mutableBytes
        guard let packet = client.nextPacket(page: &raw) else { break }
        precondition(packet.controlByteCount <= 4096)
        if packet.wantsCompletion { last = packet.transactionID }
      }
      if case .failed = client.state { client.channelOpened(buffers) }
      if queue == nil, client.sendSections > 0 {
        queue = unsafe NetworkQueue(
          NetworkQueue.Layout(client, channel: 0, of: 1), table: table, capacity: 8, sections: 8)
      }
      switch script.choice(8) {
      case 0, 1, 2: answer(&script, &client, last)
      case 3: control(&script, &client, page)
      case 4: request(&script, &client)
      case 5: send(&script, &queue, &outstanding, &context)
      case 6: complete(&script, &queue, &outstanding)
      default: receive(&script, &queue)
      }
      precondition(client.subChannels <= 3 && client.mtu <= 1500 && client.scalingEntries <= 128)
      precondition((queue?.outstanding ?? 0) == outstanding.count)
    }
    while let sent = queue?.abandon() {
      precondition(outstanding.values.contains(sent.context), "ended twice")
      outstanding = outstanding.filter { $0.value != sent.context }
    }
    precondition(outstanding.isEmpty)
  }

  private static func answer(_ script: inout Script, _ client: inout NetworkClient, _ last: UInt64) {
    var message = WireMessage()
    switch client.state {
    case .askingVersion:
      for word in [2, 0, 0] as [UInt32] { message.add(script.mostly(word)) }
      message.add(script.oneIn(4) ? 3 : 1 as UInt32)
    case .sharingReceiveBuffer:
      for word in [102, 1, 1, 0, 1728, 64, 64 * 1728] as [UInt32] { message.add(script.mostly(word)) }
    case .sharingSendBuffer: for word in [105, 1, 6144] as [UInt32] { message.add(script.mostly(word)) }
    case .askingForChannels: for word in [133, 1, 3] as [UInt32] { message.add(script.mostly(word)) }
    default: for word in [108, 1] as [UInt32] { message.add(script.mostly(word)) }
    }
    message.pad(to: 40)
    message.damage(&script)
    _ = try? client.receive(completion: unsafe message.bytes.span.bytes, transactionID: script.mostly(last))
  }

  private static func control(_ script: inout Script, _ client: inout NetworkClient, _ page: [UInt8]) {
    func word(_ at: Int) -> UInt32 { page[at..<at + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) } }
    var message = WireMessage()
    var data = script.take(script.choice(32))
    switch word(0) {
    case 2 where script.choice(4) > 0:
      for value in [0x8000_0002, 52, word(8), 0, 1, 0, 1, 0, 8, 6144, 3, 0, 0] as [UInt32] {
        message.add(script.mostly(value))
      }
    case 4 where script.choice(4) > 0:
      switch word(12) {
      case 0x0001_0106: data = [0xDC, 5, 0, 0]
      case 0x0101_0101: data = [0, 0x15, 0x5D, 1, 2, 3]
      case 0x0001_0114: data = [0, 0, 0, 0]
      case 0x0001_0203: data = [0x88, 2, 18, 0, 1, 3, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 128, 0]
      case 0xFC01_020D: data = [0xA7, 1, 112, 0] + [UInt8](repeating: 0xFF, count: 108)
      default: break
      }
      if script.oneIn(8), !data.isEmpty { data[script.choice(data.count)] = script.byte() }
      for value in [0x8000_0004, UInt32(24 + data.count), word(8), script.oneIn(8) ? 0xC000_00BB : 0] as [UInt32] {
        message.add(script.mostly(value))
      }
      message.add(script.mostly(UInt32(data.count)))
      message.add(script.mostly(16 as UInt32))
      message.add(data)
    case 5 where script.choice(4) > 0:
      for value in [0x8000_0005, 16, word(8), 0] as [UInt32] { message.add(script.mostly(value)) }
    default:
      for value in [7, UInt32(20 + data.count), 0x4001_000B + UInt32(script.choice(16)), UInt32(data.count), 12] {
        message.add(script.mostly(value))
      }
      message.add(data)
    }
    message.damage(&script)
    _ = try? client.receive(control: unsafe message.bytes.span.bytes)
  }

  private static func request(_ script: inout Script, _ client: inout NetworkClient) {
    switch script.choice(16) {
    case 0:
      client.channelOpened(
        NetworkClient.Buffers(
          receive: GPADLID(1), receiveByteCount: UInt32(bufferSize), send: GPADLID(2), sendByteCount: 65536))
    case 1: try? client.halt()
    case 2, 3: try? client.channelsOpened()
    case 4: client.giveUp()
    case 5, 6:
      var message = WireMessage()
      message.add(134 as UInt32)
      message.add(script.mostly(16 as UInt32))
      message.add(script.mostly(40 as UInt32))
      message.pad(to: 40)
      for _ in 0..<16 { message.add(script.mostly(UInt32(script.choice(4)))) }
      message.damage(&script)
      _ = try? client.receive(notice: unsafe message.bytes.span.bytes)
    default: try? client.setFilter(NetworkPacketFilter(rawValue: script.word32()))
    }
  }

  private static func send(
    _ script: inout Script, _ queue: inout NetworkQueue?, _ outstanding: inout [UInt64: UInt64], _ context: inout UInt64
  ) {
    var header = [UInt8](repeating: 0, count: 128)
    var span = header.mutableSpan
    var raw = unsafe span.mutableBytes
    let places: [NetworkSendPlace] = [.section, .headerInSection, .ranges]
    let send = NetworkSend(byteCount: Int(script.word16()) % 8000, context: context)
    guard var packet = try? queue?.begin(send, places[script.choice(3)], header: &raw) else { return }
    while script.oneIn(2), let place = try? queue?.append(send, to: &packet, header: &raw) {
      precondition(place < packet.sectionByteCount)
    }
    precondition(packet.sectionByteCount <= 6144 && packet.headerByteCount <= 128)
    if script.oneIn(8) {
      queue?.cancel(packet)
    } else {
      outstanding[packet.transactionID] = context
    }
    context += 1
  }

  private static func complete(
    _ script: inout Script, _ queue: inout NetworkQueue?, _ outstanding: inout [UInt64: UInt64]
  ) {
    let ids = outstanding.keys.sorted()
    let id = ids.isEmpty || script.oneIn(8) ? script.word64() : ids[script.choice(ids.count)]
    var message = WireMessage()
    for _ in 0..<4 { message.add(0 as UInt32) }
    for word in [108, 1] as [UInt32] { message.add(script.mostly(word)) }
    message.damage(&script)
    message.pad(to: 16)
    let packet = Packet(
      type: .completion, completionRequested: false, transactionID: id, payloadOffset: 16,
      byteCount: message.bytes.count)
    guard case .sent(let sent) = try? queue?.receive(packet, in: unsafe message.bytes.span.bytes) else { return }
    precondition(outstanding.removeValue(forKey: id) == sent.context, "another packet ended")
  }

  private static func receive(_ script: inout Script, _ queue: inout NetworkQueue?) {
    var buffer = Buffer(bytes: [UInt8](repeating: 0, count: bufferSize))
    var message = WireMessage()
    for _ in 0..<4 { message.add(0 as UInt32) }
    let count = 1 + script.choice(4)
    message.add(script.mostly(0xCAFE as UInt32))
    message.add(script.mostly(UInt32(count)))
    for index in 0..<count {
      var frame = WireMessage()
      var records = WireMessage()
      for _ in 0..<script.choice(3) { NetworkTargets.addRecord(&records, &script) }
      let size = 44 + records.bytes.count + 60
      for word in [1, UInt32(size), UInt32(36 + records.bytes.count), 60, 0, 0, 0, 36, UInt32(records.bytes.count)] {
        frame.add(script.mostly(word))
      }
      frame.add(0 as UInt64)
      frame.add(records.bytes)
      frame.pad(to: size)
      frame.damage(&script)
      let part = frame.bytes.prefix(1728)
      buffer.bytes.replaceSubrange(index * 1728..<index * 1728 + part.count, with: part)
      message.add(script.mostly(UInt32(part.count)))
      message.add(script.mostly(UInt32(index * 1728)))
    }
    let offset = message.bytes.count
    message.pad(to: offset + 40)
    let packet = Packet(
      type: .transferPages, completionRequested: true, transactionID: 1, payloadOffset: offset,
      byteCount: message.bytes.count)
    let span = unsafe message.bytes.span.bytes
    guard case .messages(var inbound) = try? queue?.receive(packet, in: span) else { return }
    var messages = 0
    while let next = queue?.nextMessage(of: &inbound, in: span, buffer: buffer) {
      messages += 1
      switch next {
      case .frame(let frame): precondition(Int(frame.offset) + frame.byteCount <= bufferSize && frame.byteCount > 0)
      case .control(let offset, let count): precondition(Int(offset) + count <= bufferSize)
      }
    }
    precondition(messages <= count)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import StorageWalk
import VMBus

/// A frame as the guest got it.
public struct ReceivedFrame: Equatable, Sendable {
  public var bytes: [UInt8]
  public var tag: UInt16?
  public var hash: UInt32?
  public var isChecksumGood = false

  public init(bytes: [UInt8], tag: UInt16? = nil, hash: UInt32? = nil, isChecksumGood: Bool = false) {
    self.bytes = bytes
    self.tag = tag
    self.hash = hash
    self.isChecksumGood = isChecksumGood
  }
}

/// A channel on the guest's side.
@safe public final class NetworkGuestPort {
  public var queue: NetworkQueue?
  public var reader: RingPair.Reader
  public var writer: RingPair.Writer
  let rings: RingPair
  let buffer: UnsafeMutableRawBufferPointer
  private var table: UnsafeMutableRawPointer?
  /// Answers owed by the host, by transaction id.
  public internal(set) var owed: [UInt64: Int] = [:]
  public var received: [ReceivedFrame] = []
  /// The host's packets that the guest keeps for a while.
  var kept: [UInt64] = []

  init(_ rings: RingPair) {
    self.rings = rings
    reader = rings.reader(.guest)
    writer = rings.writer(.guest)
    unsafe buffer = .allocate(byteCount: 8192, alignment: 16)
  }

  deinit {
    unsafe buffer.deallocate()
    unsafe table?.deallocate()
  }

  func makeQueue(_ layout: NetworkQueue.Layout) {
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: NetworkQueue.tableBytes(capacity: 128, sections: 64), alignment: 16)
    unsafe table = memory
    queue = unsafe NetworkQueue(layout, table: memory, capacity: 128, sections: 64)
  }

  /// False: no room.
  public func send(
    _ type: PacketType, _ id: UInt64, tail: [UInt8] = [], payload: RawSpan, wantsCompletion: Bool = true
  ) -> Bool {
    do throws(RingError) {
      try writer.write(
        type: type, completionRequested: wantsCompletion, transactionID: id, descriptorTail: unsafe tail.span.bytes,
        payload: payload)
    } catch {
      return false
    }
    _ = writer.commit()
    if wantsCompletion { owed[id, default: 0] += 1 }
    return true
  }
}

/// The guest's driver: client, queues, buffers.
public final class NetworkGuest {
  public var client: NetworkClient
  public private(set) var ports: [UInt16: NetworkGuestPort] = [:]
  public var problem: String?
  public private(set) var events: [NetworkClient.Event] = []
  public private(set) var ended = 0
  public private(set) var failed = 0
  public let memory: NetworkPages
  public let receiveFrames: [UInt64]
  public let sendFrames: [UInt64]
  let page: [UInt64]
  /// Pages for frames that are sent from where they are; in use by context.
  private var dataFrames: [UInt64]
  private var inUse: [UInt64: [UInt64]] = [:]
  private var nextContext: UInt64 = 1
  /// What of the host's packets are not answered at once.
  public var keepsPackets = false

  public static let receiveGPADL = GPADLID(0xE1E10)
  public static let sendGPADL = GPADLID(0xE1E11)

  public init(
    memory: NetworkPages, mtu: UInt32 = 1500, subChannels: UInt16 = 0, receivePages: Int = 64, sendPages: Int = 24,
    maximumVersion: NVSPVersion = .v6_1
  ) {
    self.memory = memory
    receiveFrames = memory.take(receivePages)
    sendFrames = memory.take(sendPages)
    page = memory.take(1)
    dataFrames = memory.take(160)
    client = NetworkClient(
      mtu: mtu, wantedSubChannels: subChannels, key: Self.key, maximumVersion: maximumVersion)
  }

  /// The key of Microsoft's verification suite.
  public static let keyBytes: [UInt8] = [
    0x6D, 0x5A, 0x56, 0xDA, 0x25, 0x5B, 0x0E, 0xC2, 0x41, 0x67, 0x25, 0x3D, 0x43, 0xA3, 0x8F, 0xB0, 0xD0, 0xCA, 0x2B,
    0xCB, 0xAE, 0x7B, 0x30, 0xB4, 0x77, 0xCB, 0x2D, 0xA3, 0x80, 0x30, 0xF2, 0x0C, 0x6A, 0x42, 0xB7, 0x3B, 0xBE, 0xAC,
    0x01, 0xFA,
  ]

  public static var key: ToeplitzKey {
    do throws(WireError) {
      return try ToeplitzKey(decoding: unsafe keyBytes.span.bytes)
    } catch {
      preconditionFailure("a key has 40 bytes")
    }
  }

  public var isReady: Bool { client.state == .ready }
  public var outstanding: Int { ports.values.reduce(0) { $0 + $1.owed.values.reduce(0, +) } }

  public func takeEvents() -> [NetworkClient.Event] {
    defer { events = [] }
    return events
  }

  // MARK: Channels

  public func open(_ index: UInt16, _ rings: RingPair) {
    close(index)
    let port = NetworkGuestPort(rings)
    ports[index] = port
    if index == 0 {
      client.channelOpened(
        NetworkClient.Buffers(
          receive: Self.receiveGPADL, receiveByteCount: UInt32(receiveFrames.count * 4096), send: Self.sendGPADL,
          sendByteCount: UInt32(sendFrames.count * 4096)))
      pump()
    } else {
      makeQueue(index)
    }
  }

  private func makeQueue(_ index: UInt16) {
    ports[index]?.makeQueue(
      NetworkQueue.Layout(client, channel: UInt32(index), of: UInt32(client.subChannels) + 1))
  }

  public func close(_ index: UInt16) {
    guard let port = ports.removeValue(forKey: index) else { return }
    while let sent = port.queue?.abandon() { end(sent) }
    if index == 0 { client.channelClosed() }
  }

  /// Sends what the client has to send.
  public func pump() {
    guard let port = ports[0] else { return }
    var bytes = [UInt8](repeating: 0xEE, count: 4096)
    while true {
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      guard let packet = client.nextPacket(page: &raw) else { return }
      var tail: [UInt8] = []
      if packet.controlByteCount > 0 {
        memory.write(bytes.prefix(packet.controlByteCount), at: 0, of: page)
        tail = Self.tail([(packet.controlByteCount, 0, page)])
      }
      let isSent = port.send(
        tail.isEmpty ? .inBand : .gpaDirect, packet.transactionID, tail: tail, payload: packet.bytes,
        wantsCompletion: packet.wantsCompletion)
      if !isSent { problem = "no room for a control packet" }
    }
  }

  /// Descriptor data of a GPA-direct packet.
  public static func tail(_ ranges: [(count: Int, offset: Int, frames: [UInt64])]) -> [UInt8] {
    var words: [UInt64] = [UInt64(ranges.count) << 32]
    for range in ranges {
      words.append(UInt64(UInt32(range.count)) | UInt64(UInt32(range.offset)) << 32)
      words += range.frames
    }
    return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
  }

  // MARK: Frames to the host

  /// Sends frames in one packet. False: no room now.
  public func send(
    _ frames: [(bytes: [UInt8], information: PacketInformation)], on index: UInt16, _ place: NetworkSendPlace
  ) -> Bool {
    guard let port = ports[index], port.queue != nil, let first = frames.first else { return false }
    let context = nextContext
    var header = [UInt8](repeating: 0, count: 128)
    var packet: NetworkSendPacket
    do throws(NetworkClientFault) {
      var span = header.mutableSpan
      var raw = unsafe span.mutableBytes
      let send = NetworkSend(byteCount: first.bytes.count, information: first.information, context: context)
      guard let begun = try port.queue?.begin(send, place, header: &raw) else { return false }
      packet = begun
    } catch {
      return false
    }
    let head = Array(header.prefix(packet.headerByteCount))
    var tail: [UInt8] = []
    switch place {
    case .section:
      write(head + first.bytes, packet.section, at: 0)
      for frame in frames.dropFirst() {
        do throws(NetworkClientFault) {
          var span = header.mutableSpan
          var raw = unsafe span.mutableBytes
          let send = NetworkSend(byteCount: frame.bytes.count, information: frame.information, context: 0)
          guard let offset = try port.queue?.append(send, to: &packet, header: &raw) else { break }
          write(Array(header.prefix(packet.headerByteCount)) + frame.bytes, packet.section, at: Int(offset))
        } catch {
          break
        }
      }
    case .headerInSection:
      write(head, packet.section, at: 0)
      guard let ranges = lend(first.bytes, context) else {
        port.queue?.cancel(packet)
        return false
      }
      tail = Self.tail(ranges)
    case .ranges:
      guard let ranges = lend(head + first.bytes, context) else {
        port.queue?.cancel(packet)
        return false
      }
      tail = Self.tail(ranges)
    }
    guard port.send(tail.isEmpty ? .inBand : .gpaDirect, packet.transactionID, tail: tail, payload: packet.bytes) else {
      port.queue?.cancel(packet)
      giveBack(context)
      return false
    }
    nextContext += 1
    return true
  }

  private func write(_ bytes: [UInt8], _ section: UInt32?, at offset: Int) {
    guard let section else { return }
    memory.write(bytes, at: Int(section) * Int(client.sendSectionSize) + offset, of: sendFrames)
  }

  /// Puts bytes into pages and says where: two ranges, with an empty one between, as network stacks make them.
  private func lend(_ bytes: [UInt8], _ context: UInt64) -> [(count: Int, offset: Int, frames: [UInt64])]? {
    let split = bytes.count / 3
    var ranges: [(count: Int, offset: Int, frames: [UInt64])] = []
    var taken: [UInt64] = []
    for (part, offset) in [(bytes[..<split], 4096 - min(split, 50)), (bytes[split...], 100)] {
      let pages = (offset + part.count + 4095) / 4096
      guard dataFrames.count >= pages else {
        dataFrames += taken
        return nil
      }
      let frames = Array(dataFrames.suffix(pages))
      dataFrames.removeLast(pages)
      taken += frames
      memory.write(part, at: offset, of: frames)
      if !ranges.isEmpty { ranges.append((0, 0, [])) }
      ranges.append((part.count, offset, part.isEmpty && offset == 0 ? [] : frames))
    }
    inUse[context] = taken
    return ranges
  }

  private func giveBack(_ context: UInt64) {
    if let frames = inUse.removeValue(forKey: context) { dataFrames += frames }
  }

  private func end(_ sent: NetworkQueue.Sent) {
    ended += 1
    if !sent.isGood { failed += 1 }
    giveBack(sent.context)
  }

  // MARK: From the host

  /// Takes up to `limit` packets of the host.
  public func receive(_ index: UInt16, limit: Int = 64) {
    guard let port = ports[index] else { return }
    do throws(RingError) {
      var left = limit
      while left > 0, let packet = try unsafe port.reader.next(into: port.buffer) {
        let bytes = unsafe RawSpan(_unsafeBytes: port.buffer).extracting(first: packet.byteCount)
        take(packet, bytes, port, index)
        left -= 1
      }
      _ = port.reader.commit()
    } catch {
      problem = "channel \(index): the host's ring is broken: \(error)"
    }
    pump()
  }

  private func take(_ packet: Packet, _ bytes: RawSpan, _ port: NetworkGuestPort, _ index: UInt16) {
    if packet.type == .completion {
      guard let count = port.owed[packet.transactionID], count > 0 else {
        problem = "an answer that nobody waits for: \(packet.transactionID)"
        return
      }
      port.owed[packet.transactionID] = count > 1 ? count - 1 : nil
    }
    do throws(NetworkClientFault) {
      let payload = bytes.extracting(droppingFirst: packet.payloadOffset)
      // Before the buffers are divided there are only the client's packets.
      if port.queue == nil {
        if packet.type == .completion, packet.transactionID > 1 << 47 {
          note(try client.receive(completion: payload, transactionID: packet.transactionID))
          if client.sendSections > 0, client.state == .asking(.initialize) { makeQueue(0) }
        }
        return
      }
      guard let inbound = try port.queue?.receive(packet, in: bytes) else { return }
      switch inbound {
      case .sent(let sent): end(sent)
      case .completion: note(try client.receive(completion: payload, transactionID: packet.transactionID))
      case .notice: note(try client.receive(notice: payload))
      case .messages(let messages): take(messages, bytes, port)
      }
    } catch {
      // The walk's hostile packets get answers that the client does not know.
      if packet.type != .completion { problem = "\(error) for a packet of the host's" }
    }
  }

  private func take(_ messages: NetworkInbound, _ bytes: RawSpan, _ port: NetworkGuestPort) {
    var inbound = messages
    var parts: [UInt8] = []
    var first: NetworkReceived?
    let view = ReceiveView(pages: memory, frames: receiveFrames)
    while let message = port.queue?.nextMessage(of: &inbound, in: bytes, buffer: view) {
      switch message {
      case .control(let offset, let count):
        let copy = memory.read(count, at: Int(offset), of: receiveFrames)
        do throws(NetworkClientFault) {
          note(try client.receive(control: unsafe copy.span.bytes))
        } catch {
          if error != .notOutstanding { problem = "\(error) for a control message" }
        }
      case .frame(let frame):
        if frame.isFirst {
          parts = []
          first = frame
        }
        parts += memory.read(frame.byteCount, at: Int(frame.offset), of: receiveFrames)
        if frame.isLast, let first {
          port.received.append(
            ReceivedFrame(
              bytes: parts, tag: first.information.vlan?.tag, hash: first.information.hash,
              isChecksumGood: first.isChecksumGood))
        }
      }
    }
    if inbound.status != .success { problem = "a message of the host's was dropped" }
    port.kept.append(inbound.transactionID)
    if !keepsPackets { answer(port) }
  }

  /// Gives the host its sections back.
  public func answer(_ index: UInt16) {
    if let port = ports[index] { answer(port) }
  }

  private func answer(_ port: NetworkGuestPort) {
    while let id = port.kept.first {
      let completion = NetworkReceiveCompletion(.success)
      guard port.send(.completion, id, payload: completion.bytes, wantsCompletion: false) else { return }
      port.kept.removeFirst()
    }
  }

  private func note(_ event: NetworkClient.Event?) {
    guard let event else { return }
    events.append(event)
    if event == .ready {
      do throws(NetworkClientFault) {
        try ports[0]?.queue?.clientReady(
          NetworkQueue.Layout(client, channel: 0, of: UInt32(client.subChannels) + 1))
      } catch {
        problem = "something was sent before the client was ready"
      }
    }
  }
}

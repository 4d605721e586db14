// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import NetworkWalk
import ServiceProviders
import StorageWalk
import Testing
import VMBus

/// A guest that sends what a test wants, packet by packet, and sees every packet of the host.
@safe final class ScriptedNetworkGuest {
  struct Inbound: Equatable {
    var type: PacketType
    var id: UInt64
    var payload: [UInt8]
    /// Messages in the receive buffer.
    var messages: [[UInt8]] = []
  }

  static let receive = GPADLID(1)
  static let send = GPADLID(2)
  let memory = NetworkPages(frameCount: 1024)
  let host: NetworkHost
  let rings: RingPair
  let receiveFrames: [UInt64]
  let sendFrames: [UInt64]
  let data: [UInt64]
  var reader: RingPair.Reader
  var writer: RingPair.Writer
  private let buffer: UnsafeMutableRawBufferPointer
  private var requests: UInt32 = 100

  init(_ configuration: NetworkConfiguration = configuration(), receivePages: Int = 64, ringBytes: UInt32 = 65536) {
    host = NetworkHost(configuration, memory: memory)
    rings = RingPair(byteCount: ringBytes)
    receiveFrames = memory.take(receivePages)
    sendFrames = memory.take(24)
    data = memory.take(200)
    reader = rings.reader(.guest)
    writer = rings.writer(.guest)
    unsafe buffer = .allocate(byteCount: 8192, alignment: 16)
    host.gpadls[Self.receive] = NetworkBuffer(frames: receiveFrames)
    host.gpadls[Self.send] = NetworkBuffer(frames: sendFrames)
    host.open(0, rings)
  }

  deinit { unsafe buffer.deallocate() }

  /// A guest that is ready to send and receive.
  static func ready(
    _ configuration: NetworkConfiguration = configuration(), mtu: UInt32 = 1500, receivePages: Int = 64
  ) -> ScriptedNetworkGuest {
    let guest = ScriptedNetworkGuest(configuration, receivePages: receivePages)
    guest.connect(mtu: mtu)
    return guest
  }

  func connect(_ version: NVSPVersion = .v6_1, mtu: UInt32 = 1500) {
    let answer = ask(.initialize(minimum: version, maximum: version))
    guard case .initializeComplete(_, _, .success) = answer else { return }
    tell(.configuration(frameSize: mtu + 14, NVSPCapabilities.vlan.union(.receiveCoalescing).union(.teaming)))
    tell(.ndisVersion(major: 6, minor: 30))
    _ = ask(.receiveBuffer(Self.receive, id: 0xCAFE))
    _ = ask(.sendBuffer(Self.send, id: 0))
    _ = rndis(.initialize(id: 1, major: 1, minor: 0, maximumTransfer: 0x4000))
    #expect(set(.packetFilter, [0x0D, 0, 0, 0]) == .success)
  }

  var counters: NetworkCounters { host.ports[0]?.channel.counters ?? NetworkCounters() }
  var sent: [SentFrame] { host.ports[0]?.sent ?? [] }

  // MARK: Packets

  func post(
    _ payload: [UInt8], id: UInt64 = 7, type: PacketType = .inBand, tail: [UInt8] = [], wantsCompletion: Bool = true
  ) {
    do throws(RingError) {
      try writer.write(
        type: type, completionRequested: wantsCompletion, transactionID: id, descriptorTail: unsafe tail.span.bytes,
        payload: unsafe payload.span.bytes)
    } catch {
      Issue.record("no room in the guest's ring: \(error)")
    }
    _ = writer.commit()
    host.serve(0, limit: 1000)
  }

  static func bytes(_ message: NVSPMessage) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: message.byteCount)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try? message.encode(into: &raw)
    return bytes
  }

  static func bytes(_ packet: NVSPPacket) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 40)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try? packet.encode(into: &raw)
    return bytes
  }

  static func bytes(_ message: RNDISMessage, _ information: [UInt8] = []) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: message.byteCount)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try? message.encode(into: &raw)
    bytes.replaceSubrange((bytes.count - information.count)..., with: information)
    return bytes
  }

  /// One RNDIS packet with a frame.
  static func bytes(_ frame: [UInt8], _ information: PacketInformation = PacketInformation(), padding: Int = 0)
    -> [UInt8]
  {
    let size = 44 + information.byteCount + frame.count + padding
    var bytes = [UInt8](repeating: 0, count: size)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    let packet = RNDISPacket(
      byteCount: UInt32(size), dataOffset: UInt32(36 + information.byteCount), dataByteCount: UInt32(frame.count),
      informationByteCount: UInt32(information.byteCount))
    try? packet.encode(into: &raw)
    try? information.encode(into: &raw, at: 44)
    let place = 44 + information.byteCount
    bytes.replaceSubrange(place..<place + frame.count, with: frame)
    return bytes
  }

  /// Everything that the host has sent; packets with messages are answered.
  func take(answering: Bool = true) -> [Inbound] {
    var all: [Inbound] = []
    do throws(RingError) {
      while let packet = try unsafe reader.next(into: buffer) {
        let bytes = unsafe RawSpan(_unsafeBytes: buffer).extracting(first: packet.byteCount)
        var inbound = Inbound(type: packet.type, id: packet.transactionID, payload: [])
        for index in packet.payloadOffset..<packet.byteCount {
          inbound.payload.append(unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self))
        }
        if packet.type == .transferPages {
          var ranges = try TransferPageRanges(packet, in: bytes)
          #expect(ranges.setID == 0xCAFE)
          while let range = try ranges.next(in: bytes) {
            inbound.messages.append(memory.read(Int(range.byteCount), at: Int(range.byteOffset), of: receiveFrames))
          }
        }
        all.append(inbound)
      }
      _ = reader.commit()
    } catch {
      Issue.record("the host's ring is broken: \(error)")
    }
    if answering {
      for inbound in all where inbound.type == .transferPages { giveBack(inbound.id) }
    }
    return all
  }

  func giveBack(_ id: UInt64) {
    post([108, 0, 0, 0, 1, 0, 0, 0], id: id, type: .completion, wantsCompletion: false)
  }

  // MARK: Requests

  func ask(_ message: NVSPMessage, id: UInt64 = 7) -> NVSPMessage? {
    post(Self.bytes(message), id: id)
    let answers = take()
    #expect(answers.count == 1 && answers.first?.type == .completion && answers.first?.id == id, "\(message)")
    #expect(answers.first?.payload.count == 40 || answers.first?.payload.isEmpty == true)
    guard let payload = answers.first?.payload else { return nil }
    return try? NVSPMessage(decodingFromHost: unsafe payload.span.bytes)
  }

  /// Nobody answers.
  func tell(_ message: NVSPMessage) {
    post(Self.bytes(message), id: .max - 2, wantsCompletion: false)
    #expect(take().isEmpty, "\(message)")
  }

  /// A control message; the answer, after the packet's own.
  func control(_ bytes: [UInt8], id: UInt64 = 8) -> (NVSPStatus?, [UInt8]?) {
    memory.write(bytes, at: 4000, of: data)
    let pages = (4000 + bytes.count + 4095) / 4096
    post(
      Self.bytes(NVSPPacket(isControl: true)), id: id, type: .gpaDirect,
      tail: NetworkGuest.tail([(bytes.count, 4000, Array(data.prefix(pages)))]))
    let inbound = take()
    let completion = inbound.first { $0.type == .completion }
    #expect(completion?.id == id && inbound.count { $0.type == .completion } == 1)
    let status = completion.flatMap { try? NVSPPacketComplete(decoding: unsafe $0.payload.span.bytes).status }
    let messages = inbound.filter { $0.type == .transferPages }.flatMap(\.messages)
    #expect(messages.count <= 1)
    return (status, messages.first)
  }

  func rndis(_ message: RNDISMessage, _ information: [UInt8] = []) -> RNDISMessage? {
    let (status, answer) = control(Self.bytes(message, information))
    #expect(status == .success)
    return answer.flatMap { try? RNDISMessage(decoding: unsafe $0.span.bytes) }
  }

  func query(_ oid: NetworkOID, _ information: [UInt8] = []) -> (RNDISStatus?, [UInt8]) {
    requests += 1
    let message = RNDISMessage.query(id: requests, oid, information: .bytes(information.count))
    let (_, answer) = control(Self.bytes(message, information))
    guard let answer,
      case .queryComplete(let id, let status, let place) = try? RNDISMessage(decoding: unsafe answer.span.bytes)
    else { return (nil, []) }
    #expect(id == requests)
    return (status, Array(answer[place.offset..<place.offset + place.byteCount]))
  }

  func set(_ oid: NetworkOID, _ information: [UInt8]) -> RNDISStatus? {
    requests += 1
    let message = RNDISMessage.set(id: requests, oid, information: .bytes(information.count))
    let (_, answer) = control(Self.bytes(message, information))
    guard let answer, case .setComplete(let id, let status) = try? RNDISMessage(decoding: unsafe answer.span.bytes)
    else {
      return nil
    }
    #expect(id == requests)
    return status
  }

  /// Bytes of RNDIS packets, from ranges; how the host answered.
  func transmit(_ bytes: [UInt8], tail: [UInt8]? = nil, at offset: Int = 0) -> NVSPStatus? {
    memory.write(bytes, at: offset, of: data)
    let pages = (offset + bytes.count + 4095) / 4096
    post(
      Self.bytes(NVSPPacket(isControl: false)), id: 9, type: .gpaDirect,
      tail: tail ?? NetworkGuest.tail([(bytes.count, offset, Array(data.prefix(pages)))]))
    return status(9)
  }

  func status(_ id: UInt64) -> NVSPStatus? {
    let answers = take()
    #expect(answers.count == 1 && answers.first?.id == id && answers.first?.type == .completion)
    return answers.first.flatMap { try? NVSPPacketComplete(decoding: unsafe $0.payload.span.bytes).status }
  }

  /// One frame goes through, both ways, and a question is answered: whatever happened before.
  func isAlive() -> Bool {
    let bytes = frame(200)
    let before = sent.count
    let status = transmit(Self.bytes(bytes))
    guard status == .success, sent.count == before + 1, sent.last?.bytes == bytes else { return false }
    do throws(ReceiveRefusal) { try host.bring(bytes, to: 0) } catch { return false }
    host.serve(0)
    let inbound = take()
    guard inbound.count == 1, inbound.first?.messages.first?.suffix(200) == bytes[...] else { return false }
    return query(.permanentAddress).0 == .success
  }
}

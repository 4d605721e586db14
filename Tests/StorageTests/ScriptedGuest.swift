// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import StorageWalk
import VMBus

@testable import ServiceProviders

/// A guest as a script: writes the packets that it is told to into a real ring and reads what comes back.
struct ScriptedGuest: ~Copyable {
  var provider: StorageProvider
  var channel: StorageChannel
  var effects: [StorageEffect] = []
  private let rings: RingPair
  private var sender: RingPair.Writer
  private var receiver: RingPair.Reader
  private var hostReader: RingPair.Reader
  var hostWriter: RingPair.Writer

  init(_ configuration: StorageConfiguration = StorageConfiguration(maximumSubChannels: 3), ringBytes: UInt32 = 65536) {
    provider = StorageProvider(configuration)
    channel = provider.channelOpened(0, effects: &effects)
    rings = RingPair(byteCount: ringBytes)
    sender = rings.writer(.guest)
    receiver = rings.reader(.guest)
    hostReader = rings.reader(.host)
    hostWriter = rings.writer(.host)
  }

  /// Another channel of the same controller takes this one's place.
  mutating func open(_ index: UInt16) { channel = provider.channelOpened(index, effects: &effects) }

  /// One packet to the host, which looks at it; nil when it is not a command.
  @discardableResult
  mutating func send(
    _ payload: [UInt8], id: UInt64 = 7, type: PacketType = .inBand, tail: [UInt8] = [], wantsAnswer: Bool = true
  ) throws -> StorageRequest? {
    try sender.write(
      type: type, completionRequested: wantsAnswer, transactionID: id, descriptorTail: unsafe tail.span.bytes,
      payload: unsafe payload.span.bytes)
    _ = sender.commit()
    var buffer = [UInt8](repeating: 0, count: 65536)
    guard let packet = unsafe try buffer.withUnsafeMutableBytes({ unsafe try hostReader.next(into: $0) }) else {
      return nil
    }
    _ = hostReader.commit()
    switch channel.receive(packet, in: unsafe buffer.span.bytes.extracting(first: packet.byteCount)) {
    case .settled: return nil
    case .control(let control):
      provider.receive(control, on: &channel, effects: &effects)
      return nil
    case .command(let request): return request
    }
  }

  struct Answer: Equatable {
    var id: UInt64
    var type: PacketType
    var bytes: [UInt8]

    var operation: UInt8 { bytes[0] }
    var status: UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[8 + $1]) << UInt32(8 * $1) } }
    /// SRB status, SCSI status.
    var verdict: [UInt8] { Array(bytes[14...15]) }
    var byteCount: UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[24 + $1]) << UInt32(8 * $1) } }
  }

  /// What the host has to say.
  mutating func answers() throws -> [Answer] {
    var answers: [Answer] = []
    _ = try channel.deliver(to: &hostWriter)
    var buffer = [UInt8](repeating: 0, count: 256)
    while let packet = unsafe try buffer.withUnsafeMutableBytes({ unsafe try receiver.next(into: $0) }) {
      answers.append(
        Answer(
          id: packet.transactionID, type: packet.type, bytes: Array(buffer[packet.payloadOffset..<packet.byteCount])))
    }
    _ = receiver.commit()
    return answers
  }

  /// Sends and takes the only answer.
  mutating func ask(_ payload: [UInt8], id: UInt64 = 7) throws -> Answer? {
    try send(payload, id: id)
    let answers = try answers()
    return answers.count == 1 ? answers.first : nil
  }

  /// The handshake of a Linux guest.
  mutating func connect(_ version: UInt16 = 0x602) throws {
    for packet in [Self.packet(7), Self.version(version), Self.packet(10), Self.packet(8)] { _ = try ask(packet) }
  }

  // MARK: Packets

  static func packet(_ operation: UInt8, count: Int = 64) -> [UInt8] {
    [operation, 0, 0, 0, 1, 0, 0, 0] + Array(repeating: 0, count: max(0, count - 8))
  }

  static func version(_ version: UInt16) -> [UInt8] {
    var packet = packet(9)
    packet[12] = UInt8(truncatingIfNeeded: version)
    packet[13] = UInt8(version >> 8)
    return packet
  }

  static func subChannels(_ count: UInt16) -> [UInt8] {
    var packet = packet(13)
    packet[12] = UInt8(truncatingIfNeeded: count)
    packet[13] = UInt8(count >> 8)
    return packet
  }

  static func command(
    _ bytes: [UInt8], path: UInt8 = 0, target: UInt8 = 0, unit: UInt8 = 0, length: UInt32 = 0,
    commandLength: UInt8? = nil
  ) -> [UInt8] {
    var packet = packet(3)
    packet[12] = 0x34
    packet[17] = path
    packet[18] = target
    packet[19] = unit
    packet[20] = commandLength ?? UInt8(bytes.count)
    packet[21] = 20
    packet[22] = 1
    packet.replaceSubrange(24..<28, with: little(length))
    packet.replaceSubrange(28..<28 + bytes.count, with: bytes)
    return packet
  }

  static func tail(_ count: UInt32, byteCount: UInt32, offset: UInt32 = 0, frames: [UInt64]) -> [UInt8] {
    [0, 0, 0, 0] + little(count) + little(byteCount) + little(offset) + frames.flatMap(little)
  }

  static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T(8 * $0)) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import NetworkWalk
import ServiceProviders
import VMBus

/// The network adapter: both ends with a hostile guest in between, and the host's end under messages that are mostly in
/// the right form.
enum NetworkTargets {
  static let versions: [NVSPVersion] = [.v6_1, .v6, .v5, .v4, .v2, .v1]

  /// The walk of `NetworkTests` under a schedule of the fuzzer's.
  static func walk(_ script: inout Script) {
    let version = versions[script.choice(versions.count)]
    let isHostile = !script.oneIn(4)
    var walk = NetworkWalk(decisions: ScriptDecisions(script: script), version: version, isHostile: isHostile)
    // Connected, in most cases.
    if walk.decisions.choice(8) > 0, let problem = walk.step() ?? walk.settle() { violated(problem) }
    while !walk.decisions.script.isEmpty {
      if let problem = walk.step() { violated(problem) }
    }
    if let problem = walk.settle() { violated(problem) }
  }

  /// NVSP messages and RNDIS requests in any order: each packet that wants an answer gets one, RNDIS at most one too.
  static func control(_ script: inout Script) {
    var host = FuzzedNetworkHost(isReady: script.oneIn(2))
    while !script.isEmpty {
      if script.oneIn(2) { host.sendMessage(&script) } else { host.sendRequest(&script) }
      host.take(&script)
    }
  }

  /// RNDIS packets: what comes out as a frame is a frame, and its bytes are where it says.
  static func frames(_ script: inout Script) {
    var host = FuzzedNetworkHost(isReady: true)
    while !script.isEmpty {
      host.sendFrames(&script)
      host.take(&script)
    }
  }

  /// Per-packet information: what is decoded encodes to the same again.
  static func information(_ script: inout Script) {
    while !script.isEmpty {
      var message = WireMessage()
      for _ in 0..<script.choice(8) { addRecord(&message, &script) }
      message.damage(&script)
      do throws(WireError) {
        let found = try PacketInformation(decoding: unsafe message.bytes.span.bytes)
        var bytes = [UInt8](repeating: 0, count: found.byteCount)
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        try found.encode(into: &raw, at: 0)
        let again = try PacketInformation(decoding: unsafe bytes.span.bytes)
        precondition(again == found)
      } catch {
        // Refused, as it should be.
      }
    }
  }

  static func addRecord(_ message: inout WireMessage, _ script: inout Script) {
    let types: [UInt32] = [0, 2, 6, 8, 0x8000_0001, 1, 9, 11]
    let words = script.mostly(1 as UInt32) & 7
    message.add(script.mostly(12 + words * 4))
    message.add(script.mostly(types[script.choice(types.count)]))
    message.add(script.mostly(12 as UInt32))
    for _ in 0..<words {
      // Offsets and segment sizes as they are in sound frames, or anything.
      switch script.choice(4) {
      case 0: message.add(1448 as UInt32 | 34 << 20 | 1 << 30)
      case 1: message.add(0x15 as UInt32 | 34 << 16)
      case 2: message.add(1440 as UInt32 | 54 << 20 | 3 << 30)
      default: message.add(script.word32())
      }
    }
  }
}

/// A provider with one channel, whose guest is the fuzzer.
@safe struct FuzzedNetworkHost {
  private static let firstFrame: UInt64 = 0x1000
  private let memory: Memory
  private var provider: NetworkProvider
  private let port: Port
  private var owed: [UInt64: Int] = [:]
  private var sent: [UInt64] = []
  private var nextID: UInt64 = 1

  /// 64 pages of everything.
  private final class Memory: NetworkMemory {
    var bytes = [UInt8](repeating: 0, count: 64 * 4096)

    private func place(_ address: UInt64, _ count: Int) -> Int? {
      let first = FuzzedNetworkHost.firstFrame << 12
      guard address >= first, address - first <= UInt64(bytes.count) else { return nil }
      let offset = Int(address - first)
      return count <= bytes.count - offset ? offset : nil
    }

    func read(_ address: UInt64, into target: inout MutableRawSpan) -> Bool {
      guard let offset = place(address, target.byteCount) else { return false }
      for index in 0..<target.byteCount { try? target.write(bytes[offset + index], at: index) }
      return true
    }

    func write(_ address: UInt64, from source: RawSpan) -> Bool {
      guard let offset = place(address, source.byteCount) else { return false }
      for index in 0..<source.byteCount {
        bytes[offset + index] = unsafe source.unsafeLoad(fromByteOffset: index, as: UInt8.self)
      }
      return true
    }
  }

  private final class Port {
    var channel: NetworkChannel
    init(_ channel: consuming NetworkChannel) { self.channel = channel }
  }

  private struct Environment: NetworkEnvironment {
    let statistics = NetworkStatistics()

    /// 1: the receive buffer, 2: the send buffer, 3: partly outside, 4: nothing.
    func buffer(_ id: GPADLID) -> NetworkBuffer? {
      let first = FuzzedNetworkHost.firstFrame
      switch id.rawValue {
      case 1: return NetworkBuffer(frames: (0..<24).map { first + $0 * 7 % 24 })
      case 2: return NetworkBuffer(frames: (24..<48).map { first + $0 })
      case 3: return NetworkBuffer(frames: (0..<32).map { first + 48 + $0 })
      case 4: return NetworkBuffer(frames: [])
      default: return nil
      }
    }
  }

  init(isReady: Bool) {
    memory = Memory()
    provider = NetworkProvider(
      NetworkConfiguration(
        address: EthernetAddress(rawValue: 0x0015_5D01_0203), allowsAddressChange: true, maximumSubChannels: 3,
        packetsPerChannel: 32))
    var effects: [NetworkEffect] = []
    port = Port(provider.channelOpened(0, effects: &effects))
    guard isReady else { return }
    for message in [
      .initialize(minimum: .v6_1, maximum: .v6_1), .configuration(frameSize: 1514, .receiveCoalescing),
      .receiveBuffer(GPADLID(1), id: 0xCAFE), .sendBuffer(GPADLID(2), id: 0),
    ] as [NVSPMessage] {
      post(Self.bytes(40) { (bytes) throws(WireError) in try message.encode(into: &bytes) })
    }
    request(
      Self.bytes(24) { (bytes) throws(WireError) in
        try RNDISMessage.initialize(id: 1, major: 1, minor: 0, maximumTransfer: 0).encode(into: &bytes)
      })
    var script = unsafe Script(UnsafeRawBufferPointer(start: nil, count: 0))
    take(&script)
  }

  private static func bytes(_ count: Int, _ encode: (inout MutableRawSpan) throws(WireError) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    do throws(WireError) { try encode(&raw) } catch { preconditionFailure("\(error)") }
    return bytes
  }

  // MARK: The guest

  mutating func sendMessage(_ script: inout Script) {
    let types: [UInt32] = [1, 100, 101, 103, 104, 106, 125, 129, 133, 107, 108, 134]
    var message = WireMessage()
    let type = script.mostly(types[script.choice(types.count)])
    message.add(type)
    switch type {
    case 1:
      let version = NetworkTargets.versions[script.choice(6)].rawValue
      message.add(script.mostly(version))
      message.add(script.mostly(version))
    case 101, 104:
      message.add(UInt32(script.choice(6)))
      message.add(script.mostly(0xCAFE as UInt16))
    case 103, 106: message.add(script.mostly(0xCAFE as UInt16))
    case 125:
      message.add(script.mostly(1514 as UInt32))
      message.add(0 as UInt32)
      message.add(script.word64())
    case 133:
      message.add(script.mostly(1 as UInt32))
      message.add(script.mostly(2 as UInt32))
    default: for _ in 0..<3 { message.add(script.mostly(0 as UInt32)) }
    }
    message.pad(to: 40)
    message.damage(&script)
    post(message.bytes)
  }

  mutating func sendRequest(_ script: inout Script) {
    let oids: [UInt32] = [
      0x0001_0101, 0x0001_0106, 0x0001_010E, 0x0101_0101, 0x0101_0103, 0xFC01_020C, 0xFC01_020D, 0x0001_0203,
      0x0001_0204, 0x0001_021B, 0x0002_0101, 0x0001_0114,
    ]
    let types: [UInt32] = [4, 5, 5, 2, 3, 6, 8, 7]
    var message = WireMessage()
    let data = script.take(script.choice(200))
    let type = script.mostly(types[script.choice(types.count)])
    message.add(type)
    let isLong = type == 4 || type == 5
    message.add(script.mostly(UInt32(isLong ? 28 + data.count : 24)))
    message.add(script.word32())
    message.add(isLong ? script.mostly(oids[script.choice(oids.count)]) : 1)
    message.add(script.mostly(UInt32(isLong ? data.count : 0)))
    message.add(script.mostly(20 as UInt32))
    message.add(0 as UInt32)
    if isLong { message.add(data) }
    message.damage(&script)
    request(message.bytes)
  }

  private mutating func request(_ bytes: [UInt8]) {
    let place = 48 * 4096
    let count = min(bytes.count, 4096)
    memory.bytes.replaceSubrange(place..<place + count, with: bytes.prefix(count))
    var payload = [UInt8](repeating: 0, count: 40)
    payload[0] = 107
    payload[4] = 1
    payload.replaceSubrange(8..<12, with: repeatElement(0xFF, count: 4))
    post(payload, tail: NetworkGuest.tail([(count, 0, [Self.firstFrame + 48])]))
  }

  mutating func sendFrames(_ script: inout Script) {
    var bytes: [UInt8] = []
    for _ in 0...script.choice(3) {
      var records = WireMessage()
      for _ in 0..<script.choice(4) { NetworkTargets.addRecord(&records, &script) }
      let frame = Self.frame(&script)
      var message = WireMessage()
      let size = UInt32(44 + records.bytes.count + frame.count)
      message.add(script.mostly(1 as UInt32))
      message.add(script.mostly(size))
      message.add(script.mostly(UInt32(36 + records.bytes.count)))
      message.add(script.mostly(UInt32(frame.count)))
      for _ in 0..<3 { message.add(0 as UInt32) }
      message.add(script.mostly(36 as UInt32))
      message.add(script.mostly(UInt32(records.bytes.count)))
      message.add(0 as UInt64)
      message.add(records.bytes)
      message.add(frame)
      message.damage(&script)
      bytes += message.bytes
    }
    let inSection = script.oneIn(2) ? min(bytes.count, script.oneIn(2) ? 6144 : script.choice(200)) : 0
    let section = script.choice(16)
    var payload = WireMessage()
    payload.add(107 as UInt32)
    payload.add(0 as UInt32)
    payload.add(inSection > 0 ? script.mostly(UInt32(section)) : 0xFFFF_FFFF)
    payload.add(script.mostly(UInt32(inSection)))
    payload.pad(to: 40)
    memory.bytes.replaceSubrange(
      24 * 4096 + section * 6144..<24 * 4096 + section * 6144 + inSection, with: bytes.prefix(inSection))
    let rest = bytes.dropFirst(inSection).prefix(15 * 4096)
    let offset = script.choice(256) * 16
    memory.bytes.replaceSubrange(48 * 4096 + offset..<48 * 4096 + offset + rest.count, with: rest)
    let pages = (offset + rest.count + 4095) / 4096
    var tail: [UInt8] = []
    if !rest.isEmpty {
      tail = NetworkGuest.tail([(rest.count, offset, (0..<UInt64(pages)).map { Self.firstFrame + 48 + $0 })])
      if script.oneIn(32) { tail[script.choice(tail.count)] = script.byte() }
    }
    post(payload.bytes, tail: tail)
  }

  /// TCP or UDP over IPv4 or IPv6, mostly.
  private static func frame(_ script: inout Script) -> [UInt8] {
    var bytes: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    if script.oneIn(8) { bytes += [0x81, 0, script.byte(), script.byte()] }
    switch script.choice(3) {
    case 0:
      bytes += [8, 0, script.mostly(0x45), 0, 0, 0, 0, 0, script.mostly(0x40), 0, 64, script.mostly(6)]
      bytes += [UInt8](repeating: 1, count: 10)
    case 1:
      bytes += [0x86, 0xDD, script.mostly(0x60), 0, 0, 0, 0, 0, script.mostly(6), 64]
      bytes += [UInt8](repeating: 2, count: 32)
    default: bytes += [0x88, 0xB5]
    }
    bytes += [0, 80, 0, 81, 0, 0, 0, 0, 0, 0, 0, 0, script.mostly(0x50), 0, 0, 0, 0, 0, 0, 0]
    bytes += [UInt8](repeating: 3, count: script.oneIn(3) ? Int(script.word16()) >> 2 : script.choice(256))
    return script.oneIn(8) ? Array(bytes.prefix(script.choice(100))) : bytes
  }

  // MARK: The host

  private mutating func post(_ payload: [UInt8], tail: [UInt8] = []) {
    guard port.channel.canReceive else { return }
    let padded = payload + [UInt8](repeating: 0, count: (8 - payload.count & 7) & 7)
    let bytes = [UInt8](repeating: 0, count: 16) + tail + padded
    let packet = Packet(
      type: tail.isEmpty ? .inBand : .gpaDirect, completionRequested: true, transactionID: nextID,
      payloadOffset: 16 + tail.count, byteCount: bytes.count)
    owed[nextID] = 1
    nextID += 1
    let span = unsafe bytes.span.bytes
    switch port.channel.receive(packet, in: span, memory: memory) {
    case .settled: break
    case .control(let control):
      var effects: [NetworkEffect] = []
      provider.receive(control, on: &port.channel, environment: Environment(), effects: &effects)
    case .frames(var batch):
      var frame = TransmitFrame()
      var frames = 0
      while port.channel.nextFrame(of: &batch, into: &frame, in: span, memory: memory) {
        frames += 1
        check(&frame, span)
      }
      precondition(frames <= 64)
      port.channel.complete(batch)
    }
    if let problem = port.channel.checkInvariants() { violated(problem) }
  }

  private func check(_ frame: inout TransmitFrame, _ packet: RawSpan) {
    let header = frame.headerByteCount
    precondition(frame.byteCount >= 14 && header >= 14 && header <= frame.byteCount && frame.header.byteCount == header)
    let offloads = frame.offloads
    if offloads.needsChecksum {
      precondition(Int(offloads.checksumStart) + Int(offloads.checksumOffset) + 2 <= header)
    }
    if offloads.isSegmented {
      precondition(offloads.needsChecksum && Int(offloads.headerSize) <= header)
      precondition(Int(offloads.headerSize) + Int(offloads.segmentSize) < frame.byteCount)
    } else {
      precondition(frame.byteCount <= 9000 + 22)
    }
    var total = header
    while let segment = port.channel.nextSegment(of: &frame, in: packet) { total += Int(segment.byteCount) }
    precondition(total == frame.byteCount, "\(total) of \(frame.byteCount) bytes")
  }

  /// Takes what the host has for the guest, and a frame in between.
  mutating func take(_ script: inout Script) {
    if script.oneIn(3) {
      let bytes: [UInt8] = [0x00, 0x15, 0x5D, 0x01, 0x02, 0x03] + [UInt8](repeating: 9, count: 60)
      let frame = ReceiveFrame(byteCount: 14 + Int(script.word16()) % 3000, checksum: .good)
      if var placement = try? port.channel.begin(frame, header: unsafe bytes.span.bytes, memory: memory) {
        var total = 0
        while let segment = port.channel.nextSegment(of: &placement) { total += Int(segment.byteCount) }
        precondition(total == frame.byteCount)
        if script.oneIn(4) { port.channel.cancel(placement) } else { port.channel.finish(placement) }
      }
    }
    let ring = FuzzedRing()
    do throws(RingError) {
      var writer = try ring.writer()
      _ = try port.channel.deliver(to: &writer, memory: memory)
      var reader = try ring.reader()
      while let packet = try unsafe reader.next(into: ring.buffer) {
        switch packet.type {
        case .completion:
          precondition(owed.removeValue(forKey: packet.transactionID) != nil, "an answer that nobody waits for")
        case .transferPages: sent.append(packet.transactionID)
        default: precondition(packet.type == .inBand)
        }
      }
    } catch {
      preconditionFailure("\(error)")
    }
    precondition(owed.isEmpty, "a packet without an answer")
    if let problem = port.channel.checkInvariants() { violated(problem) }
    while script.oneIn(2), let id = sent.popLast() { giveBack(id) }
    if script.oneIn(16) { giveBack(script.word64()) }
  }

  private mutating func giveBack(_ id: UInt64) {
    guard port.channel.canReceive else { return }
    let bytes = [UInt8](repeating: 0, count: 24)
    let packet = Packet(
      type: .completion, completionRequested: false, transactionID: id, payloadOffset: 16, byteCount: 24)
    _ = port.channel.receive(packet, in: unsafe bytes.span.bytes, memory: memory)
    if let problem = port.channel.checkInvariants() { violated(problem) }
  }
}

/// A ring that is new and large enough for everything that may wait.
@safe private final class FuzzedRing {
  private let base: UnsafeMutableRawPointer
  private static let byteCount: UInt32 = 65536
  let buffer: UnsafeMutableRawBufferPointer

  init() {
    unsafe base = .allocate(byteCount: 4096 + Int(Self.byteCount), alignment: 4096)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
    unsafe buffer = .allocate(byteCount: 8192, alignment: 16)
    unsafe RingControl(page: base).initialize()
  }

  deinit {
    unsafe base.deallocate()
    unsafe buffer.deallocate()
  }

  func writer() throws(RingError) -> RingWriter<LinearRingStorage> {
    try unsafe RingWriter(
      control: RingControl(page: base), storage: LinearRingStorage(base: base + 4096, byteCount: Self.byteCount))
  }

  func reader() throws(RingError) -> RingReader<LinearRingStorage> {
    try unsafe RingReader(
      control: RingControl(page: base), storage: LinearRingStorage(base: base + 4096, byteCount: Self.byteCount))
  }
}

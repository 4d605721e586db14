// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import StorageWalk
import VMBus

/// A frame as the host got it.
public struct SentFrame: Equatable, Sendable {
  public var bytes: [UInt8]
  public var tag: UInt16?
  public var hash: UInt32?
  public var offloads: TransmitOffloads

  public init(bytes: [UInt8], tag: UInt16? = nil, hash: UInt32? = nil, offloads: TransmitOffloads = TransmitOffloads())
  {
    self.bytes = bytes
    self.tag = tag
    self.hash = hash
    self.offloads = offloads
  }
}

/// A channel on the host's side: what its thread would own.
@safe public final class NetworkPort {
  public var channel: NetworkChannel
  public var reader: RingPair.Reader
  public var writer: RingPair.Writer
  let rings: RingPair
  let buffer: UnsafeMutableRawBufferPointer
  var frame = TransmitFrame()
  /// The guest broke the ring.
  public var isBroken = false
  public var sent: [SentFrame] = []

  init(_ channel: consuming NetworkChannel, _ rings: RingPair) {
    self.channel = channel
    self.rings = rings
    reader = rings.reader(.host)
    writer = rings.writer(.host)
    unsafe buffer = .allocate(byteCount: 1 << 19, alignment: 16)
  }

  deinit { unsafe buffer.deallocate() }
}

/// The host: provider, channels, and an uplink that keeps what it gets.
public final class NetworkHost {
  public var provider: NetworkProvider
  public private(set) var ports: [UInt16: NetworkPort] = [:]
  public var gpadls: [GPADLID: NetworkBuffer] = [:]
  public let memory: NetworkPages
  /// Sub-channels that the guest may open.
  public private(set) var offered: UInt16 = 0
  public private(set) var settings: NetworkSettings?
  public private(set) var addresses: [EthernetAddress] = []
  private var closed = NetworkStatistics()

  public init(_ configuration: NetworkConfiguration, memory: NetworkPages) {
    provider = NetworkProvider(configuration)
    self.memory = memory
  }

  public var statistics: NetworkStatistics {
    var sum = closed
    for port in ports.values { port.channel.counters.add(to: &sum) }
    return sum
  }

  private struct Environment: NetworkEnvironment {
    let gpadls: [GPADLID: NetworkBuffer]
    let statistics: NetworkStatistics

    func buffer(_ id: GPADLID) -> NetworkBuffer? { gpadls[id] }
  }

  // MARK: Channels

  @discardableResult
  public func open(_ index: UInt16, _ rings: RingPair) -> NetworkPort {
    var effects: [NetworkEffect] = []
    let port = NetworkPort(provider.channelOpened(index, effects: &effects), rings)
    ports[index] = port
    carryOut(effects)
    return port
  }

  public func close(_ index: UInt16) {
    guard let port = ports.removeValue(forKey: index) else { return }
    port.channel.counters.add(to: &closed)
    var effects: [NetworkEffect] = []
    provider.channelClosed(index, effects: &effects)
    carryOut(effects)
  }

  public func change(_ body: (inout NetworkProvider, inout [NetworkEffect]) -> Void) {
    var effects: [NetworkEffect] = []
    body(&provider, &effects)
    carryOut(effects)
  }

  func carryOut(_ effects: [NetworkEffect]) {
    for effect in effects {
      switch effect {
      case .offerSubChannels(let count): offered = count
      case .withdrawSubChannels: offered = 0
      case .order(let order, let channels):
        for index in channels { ports[index]?.channel.carryOut(order) }
      case .settingsChanged(let settings): self.settings = settings
      case .addressChanged(let address): addresses.append(address)
      }
    }
  }

  // MARK: The guest's packets

  /// Takes up to `limit` packets and delivers what waits. True: something was done.
  @discardableResult
  public func serve(_ index: UInt16, limit: Int = 64) -> Bool {
    guard let port = ports[index], !port.isBroken else { return false }
    var left = limit
    do throws(RingError) {
      while left > 0, port.channel.canReceive, let packet = try unsafe port.reader.next(into: port.buffer) {
        let bytes = unsafe RawSpan(_unsafeBytes: port.buffer).extracting(first: packet.byteCount)
        take(packet, bytes, port)
        left -= 1
      }
      _ = port.reader.commit()
      _ = try port.channel.deliver(to: &port.writer, memory: memory)
    } catch {
      port.isBroken = true
    }
    return left < limit
  }

  private func take(_ packet: Packet, _ bytes: RawSpan, _ port: NetworkPort) {
    switch port.channel.receive(packet, in: bytes, memory: memory) {
    case .settled: break
    case .control(let control):
      var effects: [NetworkEffect] = []
      let environment = Environment(gpadls: gpadls, statistics: statistics)
      provider.receive(control, on: &port.channel, environment: environment, effects: &effects)
      carryOut(effects)
    case .frames(var batch):
      while port.channel.nextFrame(of: &batch, into: &port.frame, in: bytes, memory: memory) {
        if let sent = collect(port, bytes) { port.sent.append(sent) }
      }
      port.channel.complete(batch)
    }
  }

  /// nil: some of it is not memory.
  private func collect(_ port: NetworkPort, _ packet: RawSpan) -> SentFrame? {
    var bytes: [UInt8] = []
    let header = port.frame.header
    for index in 0..<header.byteCount {
      bytes.append(unsafe header.unsafeLoad(fromByteOffset: index, as: UInt8.self))
    }
    while let segment = port.channel.nextSegment(of: &port.frame, in: packet) {
      guard let part = memory.read(segment) else { return nil }
      bytes += part
    }
    precondition(bytes.count == port.frame.byteCount, "\(bytes.count) of \(port.frame.byteCount) bytes")
    return SentFrame(bytes: bytes, tag: port.frame.tag, hash: port.frame.hash, offloads: port.frame.offloads)
  }

  // MARK: Frames for the guest

  /// Gives the guest a frame on a channel.
  public func bring(
    _ bytes: [UInt8], to index: UInt16, checksum: ReceiveFrame.Checksum = .unknown, tag: UInt16? = nil,
    hash: UInt32? = nil
  ) throws(ReceiveRefusal) {
    guard let port = ports[index], !port.isBroken else { throw .unwanted }
    let frame = ReceiveFrame(byteCount: bytes.count, checksum: checksum, tag: tag, hash: hash)
    let header = unsafe bytes.span.bytes.extracting(first: min(bytes.count, 128))
    var placement = try port.channel.begin(frame, header: header, memory: memory)
    let whole = placement
    var done = 0
    while let segment = port.channel.nextSegment(of: &placement) {
      let count = Int(segment.byteCount)
      guard memory.write(segment.address, from: unsafe bytes.span.bytes.extracting(done..<done + count)) else {
        port.channel.cancel(whole)
        throw .unwanted
      }
      done += count
    }
    precondition(done == bytes.count, "\(done) of \(bytes.count) bytes placed")
    port.channel.finish(placement)
  }
}

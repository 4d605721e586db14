// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Glibc
import ServiceClients
import ServiceProviders
import Synchronization
import VMBus
import VirtualSwitch

/// An adapter with both of its ends, brought up as a driver does it, at a port of a switch.
@safe final class BenchAdapter: SwitchPortSink, @unchecked Sendable {
  private struct Environment: NetworkEnvironment {
    let buffers: [GPADLID: NetworkBuffer]
    var statistics: NetworkStatistics { NetworkStatistics() }
    func buffer(_ id: GPADLID) -> NetworkBuffer? { buffers[id] }
  }

  /// Who gets frames, a copy for each sender, as in `lis run`.
  private final class Entrance: Sendable {
    struct State {
      var channels: [BenchChannel] = []
      var scaling: NetworkScaling?
      var touched: UInt64 = 0
    }
    let state = Mutex(State())
  }

  struct NotReady: Error {}
  private static let receivePages = 2048
  private static let sendPages = 256
  private static let receiveID = GPADLID(0xE1E10)
  private static let sendID = GPADLID(0xE1E11)

  private(set) var channels: [BenchChannel] = []
  private(set) var settings: NetworkSettings?
  let receiveBuffer: BenchReceiveBuffer
  private let memory: BenchMemory
  private let page: UInt64
  private var provider: NetworkProvider
  private var client: NetworkClient
  private let environment: Environment
  private let entrances = (0..<8).map { _ in Entrance() }
  private var offered: UInt16 = 0

  init(_ address: UInt64, channels count: Int, mtu: UInt32) throws {
    memory = BenchMemory(pages: Self.receivePages + Self.sendPages + 1 + count * 64 * 18)
    let receive = memory.take(Self.receivePages)
    let send = memory.take(Self.sendPages)
    page = memory.take(1)[0]
    receiveBuffer = BenchReceiveBuffer(memory: memory, first: receive[0])
    environment = Environment(
      buffers: [Self.receiveID: NetworkBuffer(frames: receive), Self.sendID: NetworkBuffer(frames: send)])
    provider = NetworkProvider(
      NetworkConfiguration(
        address: EthernetAddress(rawValue: address), maximumMTU: mtu, maximumSubChannels: UInt16(count - 1)))
    let key = (0..<40).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }
    client = NetworkClient(
      mtu: mtu, wantedSubChannels: UInt16(count - 1), key: try ToeplitzKey(decoding: unsafe key.span.bytes))
    try open(0)
    client.channelOpened(
      NetworkClient.Buffers(
        receive: Self.receiveID, receiveByteCount: UInt32(Self.receivePages << 12), send: Self.sendID,
        sendByteCount: UInt32(Self.sendPages << 12)))
    try settle()
    guard client.state == .ready, Int(offered) == count - 1 else { throw NotReady() }
    for index in 1..<UInt16(max(1, count)) {
      try open(index)
      channels[Int(index)].makeQueue(NetworkQueue.Layout(client, channel: UInt32(index), of: UInt32(count)))
    }
    if count > 1 { try client.channelsOpened() }
    try client.setFilter(NetworkPacketFilter.directed.union(.broadcast))
    try settle()
    guard let settings, settings.isReceiving, channels.count == count else { throw NotReady() }
    for entrance in entrances {
      entrance.state.withLock { state in
        state.channels = channels
        state.scaling = settings.scaling
      }
    }
  }

  var capabilities: PortCapabilities {
    let coalesced = settings?.acceptsCoalesced == true
    return PortCapabilities(
      tagsOutOfBand: true, unfinishedChecksums: coalesced, tcp4Segmentation: coalesced, tcp6Segmentation: coalesced)
  }

  // MARK: Bring-up, on one thread

  private func open(_ index: UInt16) throws {
    var effects: [NetworkEffect] = []
    let channel = provider.channelOpened(index, effects: &effects)
    channels.append(try BenchChannel(channel, memory: memory))
    carryOut(effects)
  }

  private func carryOut(_ effects: [NetworkEffect], _ own: UInt16? = nil, _ channel: inout NetworkChannel) {
    for effect in effects {
      if case .order(let order, let indices) = effect, let own, indices.contains(own) { channel.carryOut(order) }
    }
    carryOut(effects, but: own)
  }

  private func carryOut(_ effects: [NetworkEffect], but own: UInt16? = nil) {
    for effect in effects {
      switch effect {
      case .offerSubChannels(let count): offered = count
      case .order(let order, let indices):
        for index in indices where index != own { channels[Int(index)].lane.withLock { $0.channel.carryOut(order) } }
      case .settingsChanged(let settings): self.settings = settings
      case .withdrawSubChannels, .addressChanged: break
      }
    }
  }

  private func settle() throws {
    for _ in 0..<100 {
      try pump()
      for channel in channels { try serve(channel, nil) }
      try take(channels[0])
    }
  }

  private func pump() throws {
    while true {
      let start = unsafe memory.pointer(toFrame: page)
      var bytes = unsafe MutableRawSpan(_unsafeStart: start, byteCount: 4096)
      guard let packet = client.nextPacket(page: &bytes) else { return }
      try channels[0].send(packet, page: page)
    }
  }

  // MARK: On the channels' threads

  /// The host's part of a turn.
  func serve(_ channel: BenchChannel, _ sender: (any FrameSender)?) throws {
    try channel.serve(sender) { demand, lane in
      var effects: [NetworkEffect] = []
      provider.receive(demand, on: &lane, environment: environment, effects: &effects)
      carryOut(effects, channel.index, &lane)
    }
  }

  /// The guest's part.
  func take(_ channel: BenchChannel) throws {
    try channel.take(receiveBuffer) { isCompletion, id, payload in
      if isCompletion {
        note(try client.receive(completion: payload, transactionID: id), channel)
      } else if id == .max {
        note(try client.receive(control: payload), channel)
      } else {
        note(try client.receive(notice: payload), channel)
      }
      // There is a queue as soon as the buffers are divided.
      if client.sendSections > 0, client.state == .asking(.initialize) {
        channel.makeQueue(NetworkQueue.Layout(client, channel: 0, of: 1))
      }
    }
  }

  private func note(_ event: NetworkClient.Event?, _ channel: BenchChannel) {
    guard event == .ready else { return }
    do {
      try channel.ready(NetworkQueue.Layout(client, channel: 0, of: UInt32(client.subChannels) + 1))
    } catch {
      preconditionFailure("something was sent before the client was ready")
    }
  }

  // MARK: From the switch

  func channel(of header: RawSpan) -> Int {
    Int(settings?.scaling?.select(FrameLayout(header), header)?.channel ?? 0)
  }

  func accept(_ frame: FrameView, from sender: Int) -> Bool {
    guard let first = unsafe frame.pieces.first else { return false }
    let header = unsafe UnsafeRawBufferPointer(start: first.iov_base, count: first.iov_len)
    return entrances[sender % entrances.count].state.withLock { state in
      let header = unsafe header.bytes
      let layout = FrameLayout(header)
      var hash: UInt32?
      var index = 0
      if let selected = state.scaling?.select(layout, header) {
        index = Int(selected.channel)
        hash = selected.hash
      }
      guard index < state.channels.count, state.channels[index].accept(frame, hash: hash) else { return false }
      state.touched |= 1 << UInt64(index)
      return true
    }
  }

  func endBurst(from sender: Int) {
    entrances[sender % entrances.count].state.withLock { state in
      while state.touched != 0 {
        state.channels[state.touched.trailingZeroBitCount].deliver()
        state.touched &= state.touched &- 1
      }
    }
  }
}

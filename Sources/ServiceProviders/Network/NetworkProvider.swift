// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The host's end of one network adapter, as far as it concerns all of its channels: the handshake, buffers, RNDIS and its
/// settings, further channels. Called under the adapter's lock; nothing of it is on a frame's way.
///
/// Each channel is a `NetworkChannel` of its own, which its thread owns. The owner of both makes them meet: it opens
/// channels here, gives their controls to `receive`, and carries the effects out.
///
/// Linux waits for most answers without end, so whatever a guest asks in a form that can be told is answered.
public struct NetworkProvider: Sendable {
  public private(set) var configuration: NetworkConfiguration
  public internal(set) var settings: NetworkSettings
  public internal(set) var isLinkUp: Bool
  /// In bits per second.
  public internal(set) var linkSpeed: UInt64
  /// What the guest said it can do.
  var capabilities = NVSPCapabilities(rawValue: 0)
  var sendID: UInt16 = 0
  /// What of the adapter's offloads the guest has switched on.
  var offloads: NetworkOffloads
  private var channels: Set<UInt16> = []
  /// Counts the openings of all channels.
  private var openings: UInt16 = 0
  /// Further channels that were offered since the first was opened.
  private var offered: UInt16 = 0
  /// Counts the connections of receive buffers.
  private var connections: UInt32 = 0

  public init(_ configuration: NetworkConfiguration, isLinkUp: Bool = true) {
    self.configuration = configuration
    self.isLinkUp = isLinkUp
    linkSpeed = configuration.linkSpeed
    offloads = configuration.offloads
    offloads.receiveCoalescing = false
    settings = NetworkSettings(address: configuration.address)
  }

  /// Whether the guest may take another address from now on. The one that it has stays.
  public mutating func allowAddressChange(_ isAllowed: Bool) { configuration.allowsAddressChange = isAllowed }

  // MARK: Channels

  /// The guest opened a channel: 0 the first, the others as they were offered. The channel that was opened under this
  /// number before has been closed.
  public mutating func channelOpened(_ index: UInt16, effects: inout [NetworkEffect]) -> NetworkChannel {
    if channels.contains(index) { channelClosed(index, effects: &effects) }
    channels.insert(index)
    openings &+= 1
    if index == 0 { forget(&effects) }
    if offered > 0, channels.count == Int(offered) + 1 {
      // Linux spreads by itself, evenly; this says the same.
      effects.append(.order(.spread(NVSPSendTable(spreadOver: UInt32(channels.count))), channels: [0]))
    }
    return NetworkChannel(
      index: index, opening: openings, packets: configuration.packetsPerChannel, settings: settings)
  }

  /// The channel is gone, and nothing uses the guest's memory for it any more.
  public mutating func channelClosed(_ index: UInt16, effects: inout [NetworkEffect]) {
    guard channels.remove(index) != nil, index == 0 else { return }
    if offered > 0 { effects.append(.withdrawSubChannels) }
    offered = 0
    forget(&effects)
  }

  /// Nothing is left of what the guest and we agreed on, but its address.
  private mutating func forget(_ effects: inout [NetworkEffect]) {
    let address = settings.address
    settings = NetworkSettings(address: address)
    capabilities = NVSPCapabilities(rawValue: 0)
    offloads = configuration.offloads
    offloads.receiveCoalescing = false
    let others = channels.filter { $0 != 0 }.sorted()
    if !others.isEmpty { effects.append(.order(.apply(settings), channels: others)) }
    effects.append(.settingsChanged(settings))
  }

  /// The machine was reset: the adapter has its own address again. The channels were closed before.
  public mutating func reset(effects: inout [NetworkEffect]) {
    guard settings.address != configuration.address else { return }
    settings.address = configuration.address
    effects.append(.addressChanged(configuration.address))
  }

  // MARK: The link

  public mutating func setLink(isUp: Bool, effects: inout [NetworkEffect]) {
    guard isUp != isLinkUp else { return }
    isLinkUp = isUp
    indicate(.link(isUp: isUp), &effects)
  }

  public mutating func setLinkSpeed(_ speed: UInt64, effects: inout [NetworkEffect]) {
    guard speed != linkSpeed else { return }
    linkSpeed = speed
    // Others take it for nonsense.
    if capabilities.contains(.teaming) { indicate(.speed(speed), &effects) }
  }

  /// The adapter was connected to another network.
  public mutating func networkChanged(effects: inout [NetworkEffect]) { indicate(.networkChanged, &effects) }

  private func indicate(_ indication: NetworkIndication, _ effects: inout [NetworkEffect]) {
    // Before that the guest asks.
    if settings.isInitialized { effects.append(.order(.indicate(indication), channels: [0])) }
  }

  // MARK: Controls

  /// What a channel's `receive` brought that is not frames. Called by the channel's thread.
  public mutating func receive<Environment: NetworkEnvironment & ~Copyable>(
    _ control: NetworkControl, on channel: inout NetworkChannel, environment: borrowing Environment,
    effects: inout [NetworkEffect]
  ) {
    guard control.opening == channel.opening else { return }
    switch control.demand {
    case .rndis(let bytes): receive(rndis: bytes, &channel, environment.statistics, &effects)
    case .message(.receiveBuffer(let id, let number)):
      receive(control, .receiveBuffer(id, id: number), environment.buffer(id), &channel, &effects)
    case .message(.sendBuffer(let id, let number)):
      receive(control, .sendBuffer(id, id: number), environment.buffer(id), &channel, &effects)
    case .message(let message): receive(control, message, nil, &channel, &effects)
    }
  }

  /// What a message is answered with.
  private enum Verdict {
    case answer(NVSPMessage)
    /// An answer without contents, if one is wanted at all.
    case nothing
    case refusal
  }

  private mutating func receive(
    _ control: NetworkControl, _ message: NVSPMessage, _ buffer: NetworkBuffer?, _ channel: inout NetworkChannel,
    _ effects: inout [NetworkEffect]
  ) {
    var change: [NetworkEffect] = []
    let verdict = channel.index == 0 ? judge(message, buffer, &change) : refuse(message)
    switch verdict {
    case .answer(let answer):
      if answer.isFailure { channel.counters.refused &+= 1 }
      if let id = control.transactionID { channel.send(answer, to: id) }
    case .nothing: channel.answer(control, .success)
    case .refusal:
      channel.counters.refused &+= 1
      channel.answer(control, .failure)
    }
    carry(change, &channel, &effects)
  }

  /// Each question has its own kind of answer, and Linux waits for that.
  private func refuse(_ message: NVSPMessage) -> Verdict {
    switch message {
    case .initialize: .answer(.initializeComplete(version: 0, chain: 0, .failure))
    case .receiveBuffer:
      .answer(.receiveBufferComplete(.failure, sections: 0, NVSPReceiveSection(byteCount: 0, count: 0, end: 0)))
    case .sendBuffer: .answer(.sendBufferComplete(.failure, sectionSize: 0))
    case .requestSubChannels: .answer(.subChannels(.failure, count: 0))
    default: .refusal
    }
  }

  private mutating func judge(
    _ message: NVSPMessage, _ buffer: NetworkBuffer?, _ effects: inout [NetworkEffect]
  ) -> Verdict {
    switch message {
    case .initialize(let minimum, let maximum):
      // A second client on an open channel, as DPDK's driver is, begins anew; not while buffers are in use.
      guard settings.receive == nil, settings.send == nil else { return refuse(message) }
      guard minimum == maximum, minimum.isKnown, minimum <= configuration.maximumVersion else {
        settings.version = nil
        let status = minimum > configuration.maximumVersion ? NVSPStatus.versionTooNew : .unsupportedVersion
        return .answer(.initializeComplete(version: 0, chain: 0, status))
      }
      settings = NetworkSettings(address: settings.address)
      settings.version = minimum
      capabilities = NVSPCapabilities(rawValue: 0)
      changed(&effects)
      // The chain's length is of no use to anybody; Hyper-V says 34.
      return .answer(.initializeComplete(version: minimum.rawValue, chain: 34, .success))
    case .ndisVersion: return settings.version == nil ? .refusal : .nothing
    case .configuration(let frameSize, let capabilities):
      guard let version = settings.version, version.hasConfiguration, settings.receive == nil,
        frameSize >= 68 + UInt32(NetworkAdapter.frameHeaderSize)
      else { return .refusal }
      settings.mtu = min(frameSize - UInt32(NetworkAdapter.frameHeaderSize), configuration.maximumMTU)
      self.capabilities = capabilities
      return .nothing
    case .receiveBuffer(_, let id):
      guard settings.version != nil, settings.receive == nil, let buffer,
        let area = NetworkReceiveArea(
          buffer, id: id, number: connections &+ 1, mtu: settings.mtu, channels: configuration.maximumSubChannels + 1)
      else { return refuse(message) }
      connections &+= 1
      settings.receive = area
      changed(&effects)
      return .answer(
        .receiveBufferComplete(
          .success, sections: 1,
          NVSPReceiveSection(
            byteCount: area.sectionSize, count: area.sections, end: area.sectionSize * area.sections)))
    case .sendBuffer(_, let id):
      guard settings.version != nil, settings.send == nil, let buffer, let area = NetworkSendArea(buffer) else {
        return refuse(message)
      }
      settings.send = area
      sendID = id
      changed(&effects)
      return .answer(.sendBufferComplete(.success, sectionSize: area.sectionSize))
    case .revokeReceiveBuffer(let id):
      guard let area = settings.receive, area.id == id else { return .refusal }
      settings.receive = nil
      halt()
      changed(&effects)
      return .nothing
    case .revokeSendBuffer:
      guard settings.send != nil else { return .refusal }
      settings.send = nil
      changed(&effects)
      return .nothing
    case .switchDataPath(let path):
      // There is no other path than the synthetic one.
      return settings.version == nil || path != 0 ? .refusal : .nothing
    case .requestSubChannels(let operation, let count):
      guard let version = settings.version, version.hasSubChannels, settings.isInitialized, offered == 0,
        let area = settings.receive, operation == 1, count > 0
      else { return refuse(message) }
      offered = UInt16(min(count, UInt32(area.shares) - 1))
      guard offered > 0 else { return refuse(message) }
      effects.append(.offerSubChannels(offered))
      return .answer(.subChannels(.success, count: UInt32(offered)))
    case .initializeComplete, .receiveBufferComplete, .sendBufferComplete, .virtualFunction, .subChannels, .sendTable:
      return .refusal
    }
  }

  mutating func halt() {
    settings.isInitialized = false
    settings.filter = .none
    settings.groups = []
    settings.scaling = nil
    settings.acceptsCoalesced = false
    offloads = configuration.offloads
    offloads.receiveCoalescing = false
  }

  /// Every channel has to know.
  func changed(_ effects: inout [NetworkEffect]) { effects.append(.settingsChanged(settings)) }

  /// The channel at hand acts by changed settings at once.
  func carry(_ change: [NetworkEffect], _ channel: inout NetworkChannel, _ effects: inout [NetworkEffect]) {
    for effect in change {
      if case .settingsChanged(let settings) = effect {
        channel.apply(settings)
        let others = channels.filter { $0 != channel.index }.sorted()
        if !others.isEmpty { effects.append(.order(.apply(settings), channels: others)) }
      }
      effects.append(effect)
    }
  }
}

extension NVSPMessage {
  fileprivate var isFailure: Bool {
    switch self {
    case .initializeComplete(_, _, let status), .receiveBufferComplete(let status, _, _),
      .sendBufferComplete(let status, _), .subChannels(let status, _):
      status != .success
    default: false
    }
  }
}

extension NetworkChannel {
  mutating func answer(_ control: NetworkControl, _ status: NVSPStatus) {
    guard let id = control.transactionID else { return }
    queue(NetworkAnswer(transactionID: id, status: status, kind: .empty))
  }
}

extension NetworkProvider {
  /// Bytes of the sections that the receive buffer is divided into; 0: there is none.
  public var sectionSize: Int { settings.receive.map { Int($0.sectionSize) } ?? 0 }
}

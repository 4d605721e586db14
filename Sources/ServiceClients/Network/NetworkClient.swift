// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of a network adapter, as far as it concerns all of its channels: the handshake on the first channel,
/// buffers, RNDIS, further channels, filter, link. Frames go through `NetworkQueue`, one per channel.
///
/// A value without threads, clocks or I/O. The shell asks for `nextPacket` whenever something has happened until there is
/// none, sends it on the first channel, and gives what a queue says is the client's to one of the `receive`s.
public struct NetworkClient: Sendable {
  public enum State: Hashable, Sendable {
    case closed
    /// The version with this index has been asked for.
    case askingVersion(Int)
    case sharingReceiveBuffer
    case sharingSendBuffer
    case asking(Request)
    case askingForChannels
    case ready
    case halted
    /// For good, until the channel is opened again.
    case failed(NetworkClientFault)
  }

  /// What is asked of the host by RNDIS, in the order of the bring-up.
  public enum Request: UInt8, Hashable, Sendable {
    case initialize
    case frameSize
    case address
    case offloads
    case setOffloads
    case linkStatus
    case linkSpeed
    case scalingCapabilities
    // When ready.
    case disableScaling
    case setScaling
    case filter
    case changeOffloads
    case changeAddress
    case halt
  }

  /// What the shell should know.
  public enum Event: Hashable, Sendable {
    /// Frames may go; channels as `subChannels` says will be offered.
    case ready
    case failed(NetworkClientFault)
    case linkChanged
    case networkChanged
    case speedChanged
    case sendTable(NVSPSendTable)
    case filterSet
    case scalingSet
    case offloadsSet
    /// Whether the host lets the adapter have the address that was asked for.
    case addressSet(Bool)
    case halted
  }

  /// Buffers that the shell has shared with the host.
  public struct Buffers: Sendable {
    var receive: GPADLID
    var receiveByteCount: UInt32
    var send: GPADLID
    var sendByteCount: UInt32

    public init(receive: GPADLID, receiveByteCount: UInt32, send: GPADLID, sendByteCount: UInt32) {
      self.receive = receive
      self.receiveByteCount = receiveByteCount
      self.send = send
      self.sendByteCount = sendByteCount
    }
  }

  public internal(set) var state = State.closed
  public internal(set) var version = NVSPVersion.v6_1
  public internal(set) var receiveSection = NVSPReceiveSection(byteCount: 0, count: 0, end: 0)
  public internal(set) var sendSectionSize: UInt32 = 0
  public internal(set) var sendSections: UInt32 = 0
  /// The host's power of two, as bytes.
  public internal(set) var alignment: UInt32 = 8
  public internal(set) var packetsPerMessage: UInt32 = 1
  public internal(set) var address = EthernetAddress(rawValue: 0)
  /// The least of what the shell wants and the host carries.
  public internal(set) var mtu: UInt32 = 0
  public internal(set) var offloads = NetworkOffloads.none
  public internal(set) var isLinkUp = false
  /// In bits per second.
  public internal(set) var linkSpeed: UInt64 = 0
  /// Channels that the host may offer besides the first: what we asked for and it granted.
  public internal(set) var subChannels: UInt16 = 0
  /// Entries of the table that spreads what is received.
  public internal(set) var scalingEntries: UInt16 = 0
  /// Answers dropped since the channel was opened.
  public internal(set) var faults: UInt64 = 0

  let wantedMTU: UInt32
  let wantedSubChannels: UInt16
  var key: ToeplitzKey
  /// The channel of each entry of the table that spreads what is received.
  var table = InlineArray<128, UInt8>(repeating: 0)
  let maximumVersion: NVSPVersion
  var buffers = Buffers(receive: GPADLID(0), receiveByteCount: 0, send: GPADLID(0), sendByteCount: 0)
  var hostQueues: UInt32 = 1
  /// Which control messages are to be sent.
  var owesFilter = false
  var owesScaling = false
  /// The second half of it.
  var owesSpreading = false
  var owesHalt = false
  var owesOffloads = false
  var owesAddress = false
  /// What the shell wants of the host's receive coalescing.
  var wantsCoalescing: Bool
  var wantedAddress = EthernetAddress(rawValue: 0)
  var filter = NetworkPacketFilter.none
  /// How many messages of the handshake are still to be sent before the next answer is waited for.
  var unsent = 0
  /// The packet whose completion is outstanding, and the RNDIS request whose answer is.
  var outstanding: UInt64?
  var request: UInt32?
  var current: Request?
  var nextID = Self.firstID
  var nextRequest: UInt32 = 1

  /// Ids of frames are below this.
  static let firstID: UInt64 = 1 &<< 48

  /// `wantedSubChannels`: processors less one, say. `key` spreads what is received.
  public init(
    mtu: UInt32 = 1500, wantedSubChannels: UInt16 = 0, wantsCoalescing: Bool = true, key: ToeplitzKey,
    maximumVersion: NVSPVersion = .v6_1
  ) {
    wantedMTU = mtu
    self.wantsCoalescing = wantsCoalescing
    self.wantedSubChannels = wantedSubChannels < 63 ? wantedSubChannels : 63
    self.key = key
    self.maximumVersion = maximumVersion
  }

  /// The versions that are asked for, best first.
  private static func version(at index: Int) -> NVSPVersion? {
    switch index {
    case 0: .v6_1
    case 1: .v6
    case 2: .v5
    case 3: .v4
    case 4: .v2
    case 5: .v1
    default: nil
    }
  }

  /// The first channel was opened (again): everything starts anew.
  public mutating func channelOpened(_ buffers: Buffers) {
    self.buffers = buffers
    faults = 0
    subChannels = 0
    outstanding = nil
    request = nil
    current = nil
    filter = .none
    owesFilter = false
    owesScaling = false
    owesSpreading = false
    owesHalt = false
    owesOffloads = false
    owesAddress = false
    hostQueues = 1
    scalingEntries = 0
    askVersion(0)
  }

  public mutating func channelClosed() {
    state = .closed
    outstanding = nil
    request = nil
    current = nil
    unsent = 0
  }

  /// The host let the shell wait too long.
  public mutating func giveUp() {
    if state != .ready, state != .closed { state = .failed(.refused) }
    outstanding = nil
    request = nil
    current = nil
  }

  /// Whether a sub-channel that the host offers is one that we asked for. `index` counts from 1.
  public func accepts(subChannel index: UInt16) -> Bool { state == .ready && index > 0 && index <= subChannels }

  /// Which frames to receive. Ends with `filterSet`.
  public mutating func setFilter(_ filter: NetworkPacketFilter) throws(NetworkClientFault) {
    guard state == .ready else { throw .wrongState }
    self.filter = filter
    owesFilter = true
  }

  /// All channels are open: spreads what is received over them evenly. Ends with `scalingSet`.
  public mutating func channelsOpened() throws(NetworkClientFault) {
    let channels = subChannels &+ 1
    for index in 0..<NetworkAdapter.indirectionCount {
      table[index] = UInt8(truncatingIfNeeded: UInt16(truncatingIfNeeded: index) % channels)
    }
    try spread()
  }

  /// Spreads what is received as `table` says: 32-bit numbers of channels, those that are open. Ends with `scalingSet`.
  public mutating func setScaling(table words: RawSpan, key: ToeplitzKey) throws(NetworkClientFault) {
    var new = table
    do throws(WireError) {
      for index in 0..<NetworkAdapter.indirectionCount {
        let channel = try words.read(UInt32.self, at: index &* 4)
        guard channel <= UInt32(subChannels) else { throw .invalid(offset: index &* 4) }
        new[index] = UInt8(truncatingIfNeeded: channel)
      }
    } catch {
      throw .malformed
    }
    try spread()
    table = new
    self.key = key
  }

  private mutating func spread() throws(NetworkClientFault) {
    guard state == .ready, scalingEntries > 0 else { throw .wrongState }
    owesScaling = true
  }

  /// Whether several segments may arrive as one frame. Ends with `offloadsSet`.
  public mutating func setCoalescing(_ isOn: Bool) throws(NetworkClientFault) {
    guard state == .ready else { throw .wrongState }
    wantsCoalescing = isOn
    owesOffloads = true
  }

  /// Another address, which the host may refuse. Ends with `addressSet`.
  public mutating func setAddress(_ address: EthernetAddress) throws(NetworkClientFault) {
    guard state == .ready else { throw .wrongState }
    guard address.isUsable else { throw .malformed }
    wantedAddress = address
    owesAddress = true
  }

  /// Before the channel is closed. Ends with `halted`; buffers are revoked by then.
  public mutating func halt() throws(NetworkClientFault) {
    guard state == .ready else { throw .wrongState }
    owesHalt = true
  }

  private mutating func askVersion(_ first: Int) {
    var index = first
    while let wanted = Self.version(at: index) {
      if wanted <= maximumVersion {
        state = .askingVersion(index)
        unsent = 1
        return
      }
      index &+= 1
    }
    state = .failed(.noVersion)
  }

  // MARK: To the host

  /// The next packet to send. `page` is the page for control messages, which the host reads: 4096 bytes that nothing else
  /// is in.
  public mutating func nextPacket(page: inout MutableRawSpan) -> NetworkClientPacket? {
    switch state {
    case .closed, .failed: return nil
    case .askingVersion(let index):
      guard let wanted = Self.version(at: index), takeUnsent() else { return nil }
      return message(.initialize(minimum: wanted, maximum: wanted))
    case .sharingReceiveBuffer:
      switch unsent {
      case 3:
        unsent = 2
        return note(.configuration(frameSize: wantedMTU &+ 14, capabilities))
      case 2:
        unsent = 1
        return note(.ndisVersion(major: version.ndisVersion &>> 16, minor: version.ndisVersion & 0xFFFF))
      case 1:
        unsent = 0
        return message(.receiveBuffer(buffers.receive, id: NetworkAdapter.receiveBufferID))
      default: return nil
      }
    case .sharingSendBuffer: return takeUnsent() ? message(.sendBuffer(buffers.send, id: 0)) : nil
    case .askingForChannels:
      return takeUnsent() ? message(.requestSubChannels(operation: 1, count: UInt32(subChannels))) : nil
    case .asking(let request): return takeUnsent() ? control(request, &page) : nil
    case .ready:
      guard outstanding == nil, request == nil else { return nil }
      if owesSpreading {
        owesSpreading = false
        return control(.setScaling, &page)
      }
      if owesFilter {
        owesFilter = false
        return control(.filter, &page)
      }
      if owesScaling {
        owesScaling = false
        return control(.disableScaling, &page)
      }
      if owesOffloads {
        owesOffloads = false
        return control(.changeOffloads, &page)
      }
      if owesAddress {
        owesAddress = false
        return control(.changeAddress, &page)
      }
      if owesHalt {
        owesHalt = false
        return control(.halt, &page)
      }
      return nil
    case .halted:
      switch unsent {
      case 2:
        unsent = 1
        return note(.revokeReceiveBuffer(id: NetworkAdapter.receiveBufferID))
      case 1:
        unsent = 0
        return note(.revokeSendBuffer(id: 0))
      default: return nil
      }
    }
  }

  private mutating func takeUnsent() -> Bool {
    guard unsent > 0 else { return false }
    unsent &-= 1
    return true
  }

  private var capabilities: NVSPCapabilities {
    var capabilities = NVSPCapabilities.vlan
    if version.hasSubChannels { capabilities = capabilities.union(.teaming) }
    if version.hasCoalescing { capabilities = capabilities.union(.receiveCoalescing) }
    return capabilities
  }

  private mutating func message(_ message: NVSPMessage) -> NetworkClientPacket {
    let packet = NetworkClientPacket(message, transactionID: takeID(), wantsCompletion: true)
    outstanding = packet.transactionID
    return packet
  }

  /// Linux's id for packets that nobody answers.
  private func note(_ message: NVSPMessage) -> NetworkClientPacket {
    NetworkClientPacket(message, transactionID: .max &- 2, wantsCompletion: false)
  }

  mutating func takeID() -> UInt64 {
    nextID = nextID &+ 1 < 1 &<< 49 ? nextID &+ 1 : Self.firstID
    return nextID
  }

  // MARK: From the host

  /// A completion that is no frame's. `payload` is a private copy.
  public mutating func receive(
    completion payload: RawSpan, transactionID: UInt64
  ) throws(NetworkClientFault) -> Event? {
    guard let outstanding, transactionID == outstanding else { throw drop(.notOutstanding) }
    self.outstanding = nil
    let answer: NVSPMessage
    do throws(WireError) {
      if current != nil {
        let completion = try NVSPPacketComplete(decoding: payload)
        return completion.status == .success ? advanceControl() : fail(.refused)
      }
      answer = try NVSPMessage(decodingFromHost: payload)
    } catch {
      return fail(.malformed)
    }
    return advance(answer)
  }

  private mutating func advance(_ answer: NVSPMessage) -> Event? {
    switch (state, answer) {
    case (.askingVersion(let index), .initializeComplete(_, _, let status)):
      guard status == .success, let agreed = Self.version(at: index) else {
        askVersion(index &+ 1)
        if case .failed(let fault) = state { return .failed(fault) }
        return nil
      }
      version = agreed
      state = .sharingReceiveBuffer
      unsent = version.hasConfiguration ? 3 : 2
    case (.sharingReceiveBuffer, .receiveBufferComplete(let status, let sections, let section)):
      guard status == .success else { return fail(.refused) }
      guard sections == 1, section.offset == 0, section.byteCount >= 68, section.count > 0,
        UInt64(section.byteCount) &* UInt64(section.count) <= UInt64(buffers.receiveByteCount)
      else { return fail(.badBuffer) }
      receiveSection = section
      state = .sharingSendBuffer
      unsent = 1
    case (.sharingSendBuffer, .sendBufferComplete(let status, let size)):
      guard status == .success else { return fail(.refused) }
      guard size >= 68, size & 3 == 0, size <= buffers.sendByteCount else { return fail(.badBuffer) }
      sendSectionSize = size
      sendSections = buffers.sendByteCount / size
      ask(.initialize)
    case (.askingForChannels, .subChannels(let status, let count)):
      // A refusal, or more than asked for, means that one channel has to do.
      if status != .success || count > UInt32(subChannels) { subChannels = 0 }
      if count < UInt32(subChannels) { subChannels = UInt16(truncatingIfNeeded: count) }
      state = .ready
      return .ready
    default: return fail(.malformed)
    }
    return nil
  }

  /// An in-band packet of the host's: news.
  public mutating func receive(notice payload: RawSpan) throws(NetworkClientFault) -> Event? {
    do throws(WireError) {
      switch try NVSPMessage(decodingFromHost: payload) {
      case .sendTable(let table):
        for index in 0..<16 where table.channels[index] > UInt32(subChannels) { throw .invalid(offset: 40) }
        return .sendTable(table)
      // No virtual function is ever used.
      case .virtualFunction: return nil
      default: throw .invalid(offset: 0)
      }
    } catch {
      throw drop(.malformed)
    }
  }

  mutating func drop(_ fault: NetworkClientFault) -> NetworkClientFault {
    faults &+= 1
    return fault
  }

  mutating func fail(_ fault: NetworkClientFault) -> Event {
    faults &+= 1
    state = .failed(fault)
    outstanding = nil
    request = nil
    current = nil
    return .failed(fault)
  }

  mutating func ask(_ request: Request) {
    state = .asking(request)
    unsent = 1
  }

  mutating func askForChannels() -> Event? {
    let most = hostQueues > 1 && version.hasSubChannels ? hostQueues &- 1 : 0
    subChannels = UInt32(wantedSubChannels) < most ? wantedSubChannels : UInt16(truncatingIfNeeded: most)
    if subChannels == 0 {
      state = .ready
      return .ready
    }
    state = .askingForChannels
    unsent = 1
    return nil
  }
}

// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import ServiceClients
import ServiceProviders
import StorageWalk
import VMBus

/// Both ends of an adapter step by step, in an order that somebody decides.
///
/// What must hold all the time: frames come out as they went in, in order, on their channel; every packet that wants an
/// answer gets exactly one; no section is lost.
public struct NetworkWalk<Choice: Decisions> {
  public var decisions: Choice
  public let pair: NetworkPair
  public let isHostile: Bool
  /// What the host must get from the guest, and the guest from the host, on each channel.
  private var toHost: [UInt16: [SentFrame]] = [:]
  private var toGuest: [UInt16: [ReceivedFrame]] = [:]
  public private(set) var sent = 0
  public private(set) var received = 0
  public private(set) var openings = 0
  public private(set) var exhaustions = 0
  public private(set) var coalesced = 0
  private var isClosing = false
  private let isJumbo: Bool
  /// A page that nothing is ever in.
  private let emptyPage: UInt64

  public init(decisions: Choice, version: NVSPVersion, isHostile: Bool) {
    self.decisions = decisions
    self.isHostile = isHostile
    isJumbo = self.decisions.oneIn(3)
    let configuration = NetworkConfiguration(
      address: NetworkPair.address, allowsAddressChange: true, maximumMTU: 9000, maximumVersion: version,
      maximumSubChannels: 3, packetsPerChannel: 16)
    pair = NetworkPair(
      configuration, mtu: isJumbo ? 9000 : 1500, subChannels: UInt16(self.decisions.choice(4)),
      receivePages: isJumbo ? 96 : 32, ringBytes: 8192)
    emptyPage = pair.memory.take(1)[0]
    pair.share()
  }

  private var host: NetworkHost { pair.host }
  private var guest: NetworkGuest { pair.guest }

  // MARK: Steps

  /// A problem, or nil.
  public mutating func step() -> String? {
    guard host.ports[0] != nil else {
      openings += 1
      pair.open(0)
      return problem()
    }
    let index = UInt16(decisions.choice(Int(host.ports.keys.max() ?? 0) + 1))
    switch decisions.choice(24) {
    case 0...4: send(on: index)
    case 5...9: bring(to: index)
    case 10...14: host.serve(index, limit: 1 + decisions.choice(8))
    case 15...18: guest.receive(index, limit: 1 + decisions.choice(8))
    case 19: openSubChannel()
    case 20:
      guest.keepsPackets = decisions.oneIn(2)
      if !guest.keepsPackets { guest.answer(index) }
    case 21: change()
    case 22: if decisions.oneIn(8) { close() }
    default: if isHostile { disturb(index) }
    }
    return problem() ?? compare()
  }

  private mutating func openSubChannel() {
    guard guest.isReady, host.offered > 0 else { return }
    for index in 1...host.offered where host.ports[index] == nil {
      pair.open(index)
      if index == host.offered { try? guest.client.channelsOpened() }
      break
    }
    guest.pump()
  }

  private mutating func change() {
    switch decisions.choice(6) {
    case 0: host.change { $0.setLink(isUp: !$0.isLinkUp, effects: &$1) }
    case 1:
      let speed = 1_000_000_000 * UInt64(1 + decisions.choice(100))
      host.change { $0.setLinkSpeed(speed, effects: &$1) }
    case 2: host.change { $0.networkChanged(effects: &$1) }
    default:
      let filters: [NetworkPacketFilter] = [
        .directed.union(.allMulticast).union(.broadcast), .promiscuous, .none,
        .directed.union(.allMulticast).union(.broadcast),
      ]
      try? guest.client.setFilter(filters[decisions.choice(filters.count)])
      guest.pump()
    }
  }

  private mutating func close() {
    pair.closeAll()
    toHost = [:]
    toGuest = [:]
  }

  private mutating func frame(_ most: Int) -> [UInt8] {
    let count = decisions.oneIn(4) ? most - decisions.choice(3) : 14 + decisions.choice(most - 14)
    let seed = decisions.word()
    var bytes: [UInt8] = [0x00, 0x15, 0x5D, 0x01, 0x02, 0x03, 0x02, 0, 0, 0, 0, 1, 0x88, 0xB5]
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes.append(UInt8(truncatingIfNeeded: seed &+ UInt64(bytes.count) &* 13)) }
    return bytes
  }

  private mutating func send(on index: UInt16) {
    guard guest.isReady, host.settings?.isInitialized == true else { return }
    let places: [NetworkSendPlace] = [.section, .section, .headerInSection, .ranges]
    let place = places[decisions.choice(places.count)]
    let most = min(Int(guest.client.mtu) + 14, place == .section ? 1800 : 9014)
    var frames: [(bytes: [UInt8], information: PacketInformation)] = []
    var expected: [SentFrame] = []
    for _ in 0..<(place == .section ? 1 + decisions.choice(3) : 1) {
      var information = PacketInformation()
      if decisions.oneIn(2) { information.vlan = NetworkVLAN(tag: UInt16(truncatingIfNeeded: decisions.word())) }
      if decisions.oneIn(2) { information.hash = UInt32(truncatingIfNeeded: decisions.word()) }
      let bytes = frame(most)
      frames.append((bytes, information))
      expected.append(SentFrame(bytes: bytes, tag: information.vlan?.tag, hash: information.hash))
    }
    guard guest.send(frames, on: index, place) else { return }
    toHost[index, default: []] += expected
    sent += frames.count
  }

  private mutating func bring(to index: UInt16) {
    let isLong = host.settings?.acceptsCoalesced == true && decisions.oneIn(6)
    let bytes = frame(isLong ? 20000 : (isJumbo ? 9014 : 1514))
    let tag: UInt16? = decisions.oneIn(2) ? UInt16(truncatingIfNeeded: decisions.word()) : nil
    let hash: UInt32? = decisions.oneIn(2) ? UInt32(truncatingIfNeeded: decisions.word()) : nil
    do throws(ReceiveRefusal) {
      try host.bring(bytes, to: index, tag: tag, hash: hash)
      toGuest[index, default: []].append(ReceivedFrame(bytes: bytes, tag: tag, hash: hash))
      received += 1
      if bytes.count > 9014 { coalesced += 1 }
    } catch {
      if case .exhausted = error { exhaustions += 1 }
    }
  }

  // MARK: A hostile guest

  private mutating func disturb(_ index: UInt16) {
    guard let port = guest.ports[index] else { return }
    let types: [UInt32] = [1, 2, 100, 101, 102, 103, 104, 106, 107, 108, 125, 129, 133, 134, 135, 0]
    var payload = [UInt8](repeating: 0, count: decisions.oneIn(4) ? decisions.choice(48) : 40)
    if decisions.oneIn(2) { for place in payload.indices { payload[place] = UInt8(decisions.choice(256)) } }
    // Not what would change settings that the walk relies on.
    let type = types[decisions.choice(types.count)]
    let isDangerous = type == 1 || type == 103 || type == 106 || type == 125 || type == 133
    if payload.count >= 16 {
      put(isDangerous ? 0 : type, &payload, 0)
      if decisions.oneIn(2) { put(UInt32(decisions.choice(3)), &payload, 4) }
      if decisions.oneIn(2) { put(UInt32(decisions.choice(20)), &payload, 8) }
      // Not the frames of before, which are still in their sections.
      if type == 107 { put(decisions.oneIn(2) ? 0 : 7000 + UInt32(decisions.choice(256)), &payload, 12) }
    } else if payload.count >= 4 {
      payload[3] = 0xFF
    }
    var tail: [UInt8] = []
    if decisions.oneIn(3) {
      // Frames of nothing in particular, in memory that may not be there. Nothing of it may look like RNDIS.
      let base = decisions.oneIn(4) ? 0 : emptyPage
      tail = NetworkGuest.tail([(1 + decisions.choice(3000), decisions.choice(1000), [base])])
      if decisions.oneIn(4) { tail[4] = UInt8(decisions.choice(256)) }
      if decisions.oneIn(4) { tail.removeLast(8) }
    }
    let isCompletion = decisions.oneIn(8)
    let id = isCompletion ? UInt64(decisions.choice(64)) | 1 << 20 : 1 << 46 | UInt64(decisions.choice(16))
    let packetTypes: [PacketType] = [.inBand, .gpaDirect, .transferPages, .gpadl, PacketType(rawValue: 77)]
    let odd = packetTypes[decisions.choice(packetTypes.count)]
    let packetType = isCompletion ? .completion : decisions.oneIn(6) ? odd : tail.isEmpty ? .inBand : .gpaDirect
    _ = port.send(packetType, id, tail: tail, payload: unsafe payload.span.bytes, wantsCompletion: !isCompletion)
  }

  private func put(_ value: UInt32, _ bytes: inout [UInt8], _ offset: Int) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (UInt32(index) * 8)) }
  }

  // MARK: What must hold

  private func problem() -> String? {
    if let problem = guest.problem { return problem }
    for (index, port) in host.ports {
      if port.isBroken { return "channel \(index) is broken" }
      if let problem = port.channel.checkInvariants() { return "channel \(index): \(problem)" }
      if !isHostile, port.channel.counters.malformed > 0 { return "channel \(index): an honest guest is malformed" }
    }
    return nil
  }

  private mutating func compare() -> String? {
    for (index, port) in host.ports {
      for frame in port.sent {
        guard let wanted = toHost[index]?.first else {
          if isHostile { continue }
          return "channel \(index): a frame that nobody sent"
        }
        // What a hostile guest sends besides comes from memory that holds nothing.
        if wanted != frame { return "channel \(index): \(frame.bytes.count) bytes instead of \(wanted.bytes.count)" }
        toHost[index]?.removeFirst()
      }
      port.sent = []
    }
    for (index, port) in guest.ports {
      for frame in port.received {
        guard let wanted = toGuest[index]?.first else { return "channel \(index): a frame for the guest from nowhere" }
        if wanted != frame { return "channel \(index): the guest got another frame" }
        toGuest[index]?.removeFirst()
      }
      port.received = []
    }
    return nil
  }

  /// Everything that is under way comes to its end.
  public mutating func settle() -> String? {
    guest.keepsPackets = false
    for _ in 0..<1000 {
      for index in host.ports.keys.sorted() {
        host.serve(index)
        guest.receive(index)
        guest.answer(index)
      }
      if let problem = problem() ?? compare() { return problem }
      if guest.outstanding == 0, toHost.values.allSatisfy(\.isEmpty), toGuest.values.allSatisfy(\.isEmpty),
        host.ports.values.allSatisfy({ $0.channel.isIdle })
      {
        return nil
      }
    }
    return
      "something never ends: \(guest.outstanding) answers, \(toHost.mapValues(\.count)) to the host, "
      + "\(toGuest.mapValues(\.count)) to the guest"
  }
}

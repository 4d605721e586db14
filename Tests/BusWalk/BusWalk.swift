// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest
import VMBusHost

/// Our host's bus and our guest's bus in one place, and a walk through what they can do to each other: offers, openings,
/// memory, rescinds, releases, unloads, contacts, resets, and from a hostile guest anything at all. After each step both
/// machines' invariants must hold, and the owner's account must agree with the server's effects.
@safe public struct BusWalk<Source: Decisions>: ~Copyable {
  public var decisions: Source
  public var host: HostModel
  var guest: BusClient
  /// The guest also sends what no client would.
  let isHostile: Bool
  let invariantInterval: Int
  private var stepsToCheck = 1
  /// Shared memory that the client has reported as created and not taken back.
  var memory: [SharedMemory] = []

  struct SharedMemory {
    var id: GPADLID
    var channel: ChannelID
    var pages: Int
  }

  private let tables: UnsafeMutableRawPointer
  static var channelCapacity: Int { 12 }
  static var gpadlCapacity: Int { 24 }

  public init(decisions: Source, maximumVersion: ProtocolVersion, isHostile: Bool, invariantInterval: Int = 1) {
    self.decisions = decisions
    self.isHostile = isHostile
    self.invariantInterval = invariantInterval
    var limits = BusServerLimits()
    limits.replies = 8
    limits.gpadls = 20
    limits.gpadlWords = 2000
    host = HostModel(
      server: BusServer(
        maximumVersion: maximumVersion, processorCount: 4, guestFrames: HostModel.guestFrames, limits: limits))
    let bytes = BusClient.tableBytes(channels: Self.channelCapacity, gpadls: Self.gpadlCapacity)
    unsafe tables = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
    guest = unsafe Self.makeGuest(.v5_3, tables)
  }

  deinit { unsafe tables.deallocate() }

  private static func makeGuest(_ newest: ProtocolVersion, _ tables: UnsafeMutableRawPointer) -> BusClient {
    unsafe BusClient(
      targetVP: VPIndex(1), newestVersion: newest,
      pages: ContactPages(interrupt: 0x1000, hostToGuestMonitor: 0x2000, guestToHostMonitor: 0x100_3000),
      tables: tables, channelCapacity: channelCapacity, gpadlCapacity: gpadlCapacity)
  }

  /// The kernel that was there is gone without a word; a new one starts.
  mutating func newGuest() {
    let version = ProtocolVersion.supported(at: decisions.choice(ProtocolVersion.supportedCount)) ?? .v5_3
    guest = unsafe Self.makeGuest(version, tables)
    memory = []
    host.events = []
  }

  // MARK: Steps

  /// One step, and after it the checks; the machines' invariants, which cost most of the time, after every
  /// `invariantInterval`-th step. Nil: all is well.
  public mutating func step() -> String? {
    switch decisions.choice(isHostile ? 28 : 20) {
    case 0: ownerStep()
    case 1...5: deliver(1 + decisions.choice(4))
    case 6, 7: completeOpenings(1)
    case 8..<20: guestStep()
    default: hostileStep()
    }
    takeEvents()
    stepsToCheck -= 1
    if stepsToCheck > 0 { return host.problem }
    stepsToCheck = invariantInterval
    return problem()
  }

  /// The first thing that is wrong.
  public func problem() -> String? {
    if let problem = host.problem { return problem }
    if let broken = host.server.brokenInvariant() { return "server: \(broken)" }
    if let broken = guest.brokenInvariant() { return "client: \(broken)" }
    return nil
  }

  private mutating func ownerStep() {
    switch decisions.choice(200) {
    case 0:
      host.reset()
      newGuest()
    case 1..<110: host.offer(Self.device(decisions.choice(6)))
    case 110..<160:
      if let id = decisions.element(of: host.offers.keys.sorted()) { host.rescind(id) }
    default:
      // The end of an opening that nobody waits for any more.
      if let ticket = decisions.element(of: host.staleTickets) { host.server.openCompleted(ticket, success: true) }
    }
  }

  /// Five devices, the last of them with a sub-channel.
  static func device(_ index: Int) -> OfferDescription {
    let instance = GUID(low: UInt64(min(index, 4)), high: 1)
    return OfferDescription(
      classID: GUID(low: 7, high: 7), instanceID: instance, flags: .enumerateInterface,
      subChannelIndex: index == 5 ? 1 : 0, isMonitored: index >= 3)
  }

  mutating func deliver(_ count: Int) {
    for _ in 0..<count {
      guard let message = host.server.nextMessage() else { return }
      host.server.removeFirstMessage()
      let payload = message.payload
      guest.receive(payload.bytes, &host)
    }
  }

  /// One of those that the guest knows.
  mutating func anyKnownChannel() -> ClientChannel? {
    let first = decisions.choice(Self.channelCapacity)
    for offset in 0..<Self.channelCapacity {
      if let channel = guest.channel(at: (first + offset) % Self.channelCapacity) { return channel }
    }
    return nil
  }

  mutating func completeOpenings(_ count: Int) {
    for id in host.open.keys.sorted().prefix(count) {
      host.complete(id, success: !decisions.oneIn(5))
    }
  }

  mutating func takeEvents() {
    for event in host.events {
      switch event {
      case .gpadlTornDown(let id, _): memory.removeAll { $0.id == id }
      case .unloaded, .connected: memory = []
      default: break
      }
    }
    host.events.removeAll(keepingCapacity: true)
  }

  // MARK: Peace

  /// Lets everything that is under way come to its end, and then compares the two ends. Of an honest guest only.
  public mutating func settle() -> String? {
    var rounds = 0
    while host.server.pendingMessageCount > 0 || host.open.contains(where: { !$0.value.isCompleted }) {
      completeOpenings(host.open.count)
      deliver(16)
      takeEvents()
      rounds += 1
      if rounds > 10_000 { return "the bus does not settle" }
    }
    if let problem = problem() { return problem }
    if guest.isWaiting { return "the guest waits for an answer that does not come" }
    guard case .connected(let version) = guest.state else { return nil }
    if host.server.version != version { return "the ends disagree about the version" }
    guard guest.offersRequested else { return nil }
    return disagreement()
  }

  /// After anything at all: a new kernel connects, gets every device and opens one.
  public mutating func freshStart() -> String? {
    newGuest()
    host.offer(Self.device(0))
    do throws(BusClientError) {
      try guest.connect(to: &host)
      deliver(16)
      try guest.requestOffers(&host)
      if let problem = settle() { return problem }
      guard let channel = guest.channel(at: 0) else { return "no device is offered" }
      let ring = try guest.createGPADL(on: channel.id, ConsecutiveFrames(first: 0x1000, count: 8), &host)
      deliver(16)
      try guest.open(channel.id, ring: ring, hostToGuestPageOffset: 4, targetVP: VPIndex(0), &host)
      host.complete(channel.id, success: true)
      return settle() ?? (guest.channel(channel.id)?.state == .open ? nil : "the channel does not open")
    } catch {
      return "a fresh start fails: \(error)"
    }
  }

  private func disagreement() -> String? {
    var known = 0
    for summary in host.server.channels {
      let channel = guest.channel(summary.channel)
      switch summary.state {
      case .waiting:
        if channel != nil { return "the guest knows channel \(summary.channel.rawValue), which waits" }
        continue
      case .opening: return "channel \(summary.channel.rawValue) is still opening"
      case .offered:
        if channel?.state != .closed || channel?.isRescinded != false { return "an offered channel is unlike" }
      case .open:
        if channel?.state != .open || channel?.isRescinded != false { return "an open channel is unlike" }
        if host.open[summary.channel]?.isCompleted != true { return "the owner doesn't know an open channel" }
      case .rescinded:
        if channel?.isRescinded != true { return "a rescinded channel is unlike" }
      }
      known += 1
    }
    var there = 0
    for index in 0..<Self.channelCapacity where guest.channel(at: index) != nil { there += 1 }
    return there == known ? nil : "the guest has \(there) channels, the host \(known)"
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest
import VMBusHost

/// The host of a walk: a `BusServer`, and an owner that keeps its own small account of what the effects told it to do.
/// Whatever contradicts that account is a `problem`. To the guest it is the sink: what the guest posts, the server gets.
public struct HostModel: BusClientSink {
  public var server: BusServer
  /// The first thing that went wrong.
  public private(set) var problem: String?

  struct Open {
    var ticket: OpenTicket
    var ring: GPADLID
    var isCompleted: Bool
  }

  struct Shared: Hashable {
    var gpadl: GPADLID
    var channel: ChannelID
  }

  static let guestFrames: [Range<UInt64>] = [0..<0x100, 0x1000..<0x4000]
  let processorCount: Int
  var offers: [ChannelID: OfferDescription] = [:]
  var rescinded: Set<ChannelID> = []
  var open: [ChannelID: Open] = [:]
  /// Memory that the owner may use.
  var shared: Set<Shared> = []
  /// Tickets of openings that are over.
  var staleTickets: [OpenTicket] = []
  var isConnected = false
  var effects: [BusServerEffect] = []
  /// What the guest's client reported.
  var events: [BusClientEvent] = []
  /// Messages that the guest posted.
  public private(set) var posted = 0
  /// Channels that the owner was told to open.
  public private(set) var openings = 0

  init(server: BusServer) {
    self.server = server
    processorCount = server.processorCount
  }

  // MARK: The guest's calls

  public mutating func post(_ payload: borrowing MessageBuffer, to connection: ConnectionID) -> HypercallStatus {
    post(bytes: payload.bytes, to: connection)
  }

  mutating func post(bytes: RawSpan, to connection: ConnectionID) -> HypercallStatus {
    posted += 1
    let status = server.receive(connection: connection, payload: bytes, effects: &effects)
    carryOut()
    return status
  }

  public mutating func handle(_ event: BusClientEvent) { events.append(event) }

  // MARK: The owner's account

  mutating func fail(_ text: String) { if problem == nil { problem = text } }

  mutating func carryOut() {
    for effect in effects { carryOut(effect) }
    effects.removeAll(keepingCapacity: true)
  }

  private mutating func carryOut(_ effect: BusServerEffect) {
    switch effect {
    case .contacted(_, let targetVP):
      if !open.isEmpty { fail("contacted with open channels") }
      if targetVP.rawValue >= UInt32(processorCount) { fail("contacted for an absent processor") }
      isConnected = true
    case .openChannel(let opening): carryOut(opening)
    case .closeChannel(let id):
      guard let opening = open.removeValue(forKey: id) else { return fail("close of a closed channel") }
      if staleTickets.count < 8 { staleTickets.append(opening.ticket) }
    case .retargetChannel(let id, let target):
      if open[id]?.isCompleted != true { fail("retarget of a channel that is not open") }
      if target != .none && target.rawValue >= UInt32(processorCount) { fail("retarget to an absent processor") }
    case .shareGPADL(let id, let channel):
      if server.gpadl(id, on: channel) == nil { fail("shared memory that is not there") }
      if !shared.insert(Shared(gpadl: id, channel: channel)).inserted { fail("memory shared twice") }
    case .releaseGPADL(let id, let channel):
      if shared.remove(Shared(gpadl: id, channel: channel)) == nil { fail("release of memory that was not shared") }
      if open[channel]?.ring == id { fail("release of the ring of an open channel") }
    case .channelReleased(let id):
      if open[id] != nil { fail("release of an open channel") }
      if offers.removeValue(forKey: id) == nil { fail("release of a channel that was not offered") }
      rescinded.remove(id)
    case .unloaded:
      if !open.isEmpty { fail("unloaded with open channels") }
      isConnected = false
    case .refused: break
    }
  }

  private mutating func carryOut(_ opening: ChannelOpening) {
    guard offers[opening.channel] != nil, !rescinded.contains(opening.channel) else {
      return fail("open of a channel that is not offered")
    }
    if open[opening.channel] != nil { fail("open of an open channel") }
    if opening.guestToHostFrames.count < 2 || opening.hostToGuestFrames.count < 2 { fail("rings without data") }
    for frame in opening.guestToHostFrames + opening.hostToGuestFrames
    where !Self.guestFrames.contains(where: { $0.contains(frame) }) {
      fail("a ring outside of memory")
    }
    if opening.targetVP != .none && opening.targetVP.rawValue >= UInt32(processorCount) {
      fail("open for an absent processor")
    }
    openings += 1
    open[opening.channel] = Open(ticket: opening.ticket, ring: opening.ringGPADL, isCompleted: false)
  }

  // MARK: The owner's actions

  mutating func offer(_ description: OfferDescription) {
    do throws(BusServerError) {
      let id = try server.offer(description)
      if offers[id] != nil { fail("channel number \(id.rawValue) given twice") }
      offers[id] = description
    } catch {
      if case .noChannelNumber = error { fail("no channel number left") }
    }
  }

  mutating func rescind(_ id: ChannelID) {
    do throws(BusServerError) {
      try server.rescind(id, effects: &effects)
      rescinded.insert(id)
      carryOut()
      if open[id] != nil { fail("rescinded and still open") }
    } catch {
      if !rescinded.contains(id) { fail("an offered channel cannot be rescinded") }
    }
  }

  mutating func reset() {
    server.reset(effects: &effects)
    carryOut()
    isConnected = false
    if !open.isEmpty { fail("reset with open channels") }
  }

  mutating func complete(_ id: ChannelID, success: Bool) {
    guard let opening = open[id], !opening.isCompleted else { return }
    server.openCompleted(opening.ticket, success: success)
    if success { open[id]?.isCompleted = true } else { open[id] = nil }
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The host's end of the VMBus: a value without threads, clocks or I/O. Its owner calls it under one lock, carries the
/// effects out in their order, and moves `nextMessage` into the guest's message slot whenever that is free.
///
/// The guest may send anything at any time. What is refused is counted by reason (`BusRefusal`); wherever the protocol
/// has an answer the guest gets one, since Linux waits for most of them without a time limit.
public struct BusServer: Sendable {
  /// The newest version that a guest gets. Contacts above it are refused so that Linux asks for the next one.
  public let maximumVersion: ProtocolVersion
  public let processorCount: Int
  public let limits: BusServerLimits

  var guestFrames: GuestFrames
  var connection: Connection?
  var table = ChannelTable()
  var gpadls: [GPADLID: HostGPADL] = [:]
  /// The sum of `wordCount` over `gpadls`.
  var gpadlWords = 0
  var queue = OutgoingQueue()
  var openingSerial: UInt64 = 0
  /// Index: the raw value of the refusal.
  private var refusalCounts = [UInt64](repeating: 0, count: BusRefusal.allCases.count)

  /// A guest that has made contact.
  struct Connection: Sendable {
    var version: ProtocolVersion
    var targetVP: VPIndex
    /// The page frame number of the monitor page that the guest sets bits on; nil: it named none in its memory.
    var monitorPage: UInt64?
    var offersRequested = false
  }

  /// `guestFrames`: the page frame numbers that are guest memory; a GPADL must stay inside them.
  public init(
    maximumVersion: ProtocolVersion = .v5_3, processorCount: Int, guestFrames: [Range<UInt64>],
    limits: BusServerLimits = BusServerLimits()
  ) {
    self.maximumVersion = maximumVersion
    self.processorCount = processorCount
    self.guestFrames = GuestFrames(guestFrames)
    self.limits = limits
  }

  // MARK: The owner's side

  /// Adds a channel. A connected guest hears of it at once, unless a rescinded channel of the same identity is still
  /// to be released (Linux would drop the offer): then as soon as it is.
  public mutating func offer(_ description: OfferDescription) throws(BusServerError) -> ChannelID {
    if let existing = table.first(where: { !$0.isRescinded && $0.description.hasSameIdentity(as: description) }) {
      throw .alreadyOffered(existing)
    }
    var channel = HostChannel(description: description, state: .waiting)
    // Without one that is free the guest uses hypercalls.
    if description.isMonitored { channel.monitor = table.freeMonitor }
    guard let id = table.insert(channel) else { throw .noChannelNumber }
    announce(id)
    return id
  }

  /// Takes a channel away. When this returns and the effects are carried out, the owner uses nothing of it any more.
  public mutating func rescind(_ id: ChannelID, effects: inout [BusServerEffect]) throws(BusServerError) {
    guard let channel = table[id], !channel.isRescinded else { throw .notOffered(id) }
    stopUsing(id, effects: &effects)
    guard let connection, channel.isKnownToGuest, !queue.cancelOffer(of: id) else {
      forget(id, effects: &effects)
      return
    }
    if case .opening(let opening) = channel.state {
      reply(.openResult(OpenResult(channel: id, openID: opening.openID, status: .invalidDeviceState)))
    }
    table[id]?.state = .rescinded
    queue.append(.rescind(Rescind(channel: id)), to: connection.targetVP)
  }

  /// The machine was reset: the guest is gone without a word. Primary offers stay.
  public mutating func reset(effects: inout [BusServerEffect]) { disconnect(effects: &effects) }

  /// The end of an `openChannel` effect. Ignored when the guest has gone on in the meantime.
  public mutating func openCompleted(_ ticket: OpenTicket, success: Bool) {
    guard case .opening(let opening) = table[ticket.channel]?.state, opening.ticket == ticket else { return }
    table[ticket.channel]?.state = success ? .open(opening) : .offered
    let status: NTStatus = success ? .success : .unsuccessful
    reply(.openResult(OpenResult(channel: ticket.channel, openID: opening.openID, status: status)))
  }

  /// Memory was added to the guest.
  public mutating func addGuestFrames(_ frames: Range<UInt64>) { guestFrames.add(frames) }

  /// The oldest message for the guest. It stays until `removeFirstMessage`.
  public func nextMessage() -> OutgoingMessage? { queue.first }

  /// The message slot has taken what `nextMessage` gave; no other call may come between the two.
  public mutating func removeFirstMessage() { queue.removeFirst() }

  // MARK: To look at

  /// `nil`: no guest is connected.
  public var version: ProtocolVersion? { connection?.version }

  /// The open channel that a signal-event hypercall on `connection` means.
  public func openChannel(signalledOn connection: ConnectionID) -> ChannelID? {
    let id = ChannelID(connection.rawValue &- ConnectionID.channel(ChannelID(0)).rawValue)
    guard let channel = table[id], channel.opening != nil else { return nil }
    return id
  }

  /// Every channel, by number.
  public var channels: [ChannelSummary] {
    table.ids.compactMap { id in
      table[id].map { channel in
        ChannelSummary(
          channel: id, description: channel.description, state: channel.summaryState,
          targetVP: channel.opening?.targetVP, gpadlCount: channel.gpadlCount)
      }
    }
  }

  /// Memory that the guest shares on `channel`; `nil` when it is unknown, unfinished or another channel's.
  public func gpadl(_ id: GPADLID, on channel: ChannelID) -> GPADL? {
    guard let gpadl = gpadls[id], gpadl.channel == channel, table[channel]?.isRescinded == false else { return nil }
    return gpadl.complete
  }

  /// How often each refusal happened.
  public func count(of refusal: BusRefusal) -> UInt64 { refusalCounts[Int(refusal.rawValue)] }

  /// Messages on their way to the guest.
  public var pendingMessageCount: Int { queue.count }

  // MARK: For the handlers

  mutating func refuse(_ refusal: BusRefusal, _ type: MessageType?, effects: inout [BusServerEffect]) {
    let index = Int(refusal.rawValue)
    refusalCounts[index] &+= 1
    if refusalCounts[index] == 1 { effects.append(.refused(refusal, type)) }
  }

  /// To the guest that is connected.
  mutating func reply(_ message: HostMessage) {
    guard let connection else { return }
    queue.append(message, to: connection.targetVP)
  }
}

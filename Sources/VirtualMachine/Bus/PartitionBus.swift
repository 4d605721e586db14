// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import Partition
import Synchronization
import VMBus
import VMBusHost

/// What the devices behind the bus are told. Called under the bus's lock, on processor threads: implementations may take
/// their own lock, but must not call the bus back.
protocol ChannelOwner: AnyObject, Sendable {
  /// Whether the device accepts the opening.
  func open(_ opening: ChannelOpening) -> Bool
  /// Begins to let go of the channel's rings and of memory that came through them. Must not wait for what is under way.
  func close(_ channel: ChannelID) -> ChannelClosing
  func retarget(_ channel: ChannelID, to vp: VPIndex)
  /// A signal that came as a hypercall, because no doorbell was bound at that instant, or by a bit of the monitor page.
  func signalled(_ channel: ChannelID)
  /// The guest shares memory with the device, until `withdraw` (or the closing, for rings). Devices that know only their
  /// rings need not care.
  func share(_ memory: GPADL, as id: GPADLID, on channel: ChannelID)
  /// Returns when nothing uses the memory any more.
  func withdraw(_ id: GPADLID, on channel: ChannelID)
}

extension ChannelOwner {
  func share(_ memory: GPADL, as id: GPADLID, on channel: ChannelID) {}
  func withdraw(_ id: GPADLID, on channel: ChannelID) {}
}

/// Things about the bus that a person may want to know.
enum BusNotice: Sendable {
  case contacted(ProtocolVersion)
  case unloaded
  case refused(BusRefusal, MessageType?)
}

/// The bus server in its place between the partition and the devices: one lock, and no thread of its own but one that looks
/// at the monitor page while a channel is open that needs it.
///
/// Lock order: this lock, then a channel owner's. Effects are carried out under the lock, so that the openings and
/// closings of two processors keep their order.
///
/// A channel whose requests take their time is closed without the lock. What the guest says meanwhile that presumes the
/// closing (it takes the ring's memory back, opens the channel again, unloads) waits for its turn: Linux sleeps until it
/// is answered. Only a reset, and an unloading or another contact that finds channels open, wait under the lock: the
/// guest has nothing else then.
final class PartitionBus: Sendable {
  private struct State {
    var server: BusServer
    var owners: [ChannelID: any ChannelOwner] = [:]
    var effects: [BusServerEffect] = []
    /// Channels that are being closed without the lock.
    var closing: Set<ChannelID> = []
    /// What the guest said that has to wait for them, oldest first.
    var postponed: [Postponed] = []
  }

  private struct Postponed {
    var connection: ConnectionID
    var message: MessageBuffer
    /// A contact or an unloading.
    var concernsAll = false
    var channel: ChannelID?
    /// That it begins to share.
    var gpadl: GPADLID?
  }

  /// A guest that says more has to try again.
  private static let postponedLimit = 256

  /// What can be seen from outside.
  struct Picture: Sendable {
    var version: ProtocolVersion?
    var channels: [ChannelSummary] = []
    /// Counters by name.
    var refusals: [String: UInt64] = [:]
  }

  private let state: Mutex<State>
  /// While channels are being closed under the lock, which waits for requests, perhaps for long: how things were before.
  private let meanwhile = Mutex<Picture?>(nil)
  private let closers = DispatchQueue(label: "swift-lis.bus", attributes: .concurrent)
  private let partition: PartitionPort
  private let monitors: MonitorWatch
  private let notice: @Sendable (BusNotice) -> Void

  /// `memory`: the guest's, if not the partition's.
  init(
    server: BusServer, partition: PartitionPort, memory: (@Sendable () -> GuestMemory?)? = nil,
    notice: @escaping @Sendable (BusNotice) -> Void
  ) {
    state = Mutex(State(server: server))
    self.partition = partition
    monitors = MonitorWatch(memory: memory ?? { partition.memory })
    self.notice = notice
  }

  // MARK: From the guest, on processor threads

  func postMessage(connection: UInt32, messageType: UInt32, payload: RawSpan) -> UInt16 {
    // Linux sends type 1 only. The server judges the payload; a foreign type is no channel message.
    guard messageType == 1 else { return HypercallStatus.invalidParameter.rawValue }
    // A span cannot be captured by the lock's closure: at most 240 bytes are copied.
    guard let message = try? MessageBuffer(payload) else { return HypercallStatus.invalidParameter.rawValue }
    return state.withLock { state in
      let postponed = Postponed(connection: ConnectionID(connection), message: message)
      if let status = postpone(postponed, &state) { return status.rawValue }
      return receive(postponed, &state).rawValue
    }
  }

  private func receive(_ posted: Postponed, _ state: inout State) -> HypercallStatus {
    let status = state.server.receive(
      connection: posted.connection, payload: posted.message.bytes, effects: &state.effects)
    // What else closes channels says so at once, in its answer.
    let isClosing = (try? GuestMessage(decoding: posted.message.bytes))?.type == .closeChannel
    carryOut(&state, waits: !isClosing)
    return status
  }

  /// Keeps a message that has to wait for channels that are being closed. nil: it has not.
  private func postpone(_ posted: Postponed, _ state: inout State) -> HypercallStatus? {
    guard !state.closing.isEmpty, let message = try? GuestMessage(decoding: posted.message.bytes) else { return nil }
    var posted = posted
    // Behind a contact or an unloading nothing is what it was.
    var waits = state.postponed.contains { $0.concernsAll }
    switch message {
    case .initiateContact, .unload: (posted.concernsAll, waits) = (true, true)
    case .openChannel(let open): posted.channel = open.channel
    case .gpadlTeardown(let teardown): posted.channel = teardown.channel
    case .channelReleased(let release): posted.channel = release.channel
    // Its number may be that of memory which is still to be taken back.
    case .gpadlHeader(let header): (posted.channel, posted.gpadl) = (header.channel, header.gpadl)
    case .gpadlBody(let body): waits = waits || state.postponed.contains { $0.gpadl == body.gpadl }
    default: break
    }
    guard waits || posted.channel.map(state.closing.contains) == true else { return nil }
    guard state.postponed.count < Self.postponedLimit else { return .insufficientBuffers }
    state.postponed.append(posted)
    return .success
  }

  func signalEvent(connection: UInt32, flag: UInt16) -> UInt16 {
    // Linux always uses flag 0 and one connection per channel.
    guard flag == 0 else { return HypercallStatus.invalidParameter.rawValue }
    let open = state.withLock { state in
      state.server.openChannel(signalledOn: ConnectionID(connection)).flatMap { channel in
        state.owners[channel].map { (channel, $0) }
      }
    }
    guard let (channel, owner) = open else { return HypercallStatus.invalidConnectionID.rawValue }
    owner.signalled(channel)
    return HypercallStatus.success.rawValue
  }

  /// The slot of a processor may be free again.
  func messageSlotFreed() { state.withLock { deliver(&$0) } }

  // MARK: From the machine

  /// `owner` answers for the channel from now on; `assigned` learns its number before the guest can hear of it. `when`:
  /// whether it is still wanted, asked when no channel can be opened or closed meanwhile.
  func offer(
    _ description: OfferDescription, owner: any ChannelOwner, when isWanted: () -> Bool = { true },
    assigned: (ChannelID) -> Void
  ) throws(BusServerError) {
    try state.withLock { state throws(BusServerError) in
      guard isWanted() else { return }
      let channel = try state.server.offer(description)
      state.owners[channel] = owner
      assigned(channel)
      carryOut(&state)
    }
  }

  /// Returns when nothing of the channel is in use any more.
  func rescind(_ channel: ChannelID) throws(BusServerError) {
    try state.withLock { state throws(BusServerError) in
      try state.server.rescind(channel, effects: &state.effects)
      carryOut(&state)
    }
    whenClosed({ $0.closing.contains(channel) }) { _ in }
  }

  /// The guest is gone without a word: close everything, keep the offers.
  func reset() {
    whenClosed({ !$0.closing.isEmpty }) { state in
      state.server.reset(effects: &state.effects)
      carryOut(&state)
    }
  }

  /// Waits while `isBusy`, then calls `body` under the same lock. By polling: it happens when a device goes or the machine
  /// is reset, no more often.
  private func whenClosed(_ isBusy: (borrowing State) -> Bool, _ body: (inout State) -> Void) {
    while true {
      let isDone = state.withLock { state in
        if isBusy(state) { return false }
        body(&state)
        return true
      }
      if isDone { return }
      usleep(500)
    }
  }

  /// Never waits for a channel that is being closed: whoever only looks is answered.
  var picture: Picture {
    while true {
      if let picture = state.withLockIfAvailable({ Self.picture(of: $0.server) }) { return picture }
      if let picture = meanwhile.withLock({ $0 }) { return picture }
      // Somebody else has the lock for a moment.
      sched_yield()
    }
  }

  private static func picture(of server: BusServer) -> Picture {
    var picture = Picture(version: server.version, channels: server.channels)
    for refusal in BusRefusal.allCases {
      let count = server.count(of: refusal)
      if count > 0 { picture.refusals["bus.refused.\(refusal)"] = count }
    }
    return picture
  }

  // MARK: Under the lock

  /// `waits`: channels are closed when this returns.
  private func carryOut(_ state: inout State, waits: Bool = true) {
    // Closing a channel may end its sub-channels, which have none: two rounds at most.
    while !state.effects.isEmpty {
      let effects = state.effects
      state.effects.removeAll(keepingCapacity: true)
      for effect in effects { carryOut(effect, &state, waits: waits) }
    }
    deliver(&state)
  }

  private func carryOut(_ effect: BusServerEffect, _ state: inout State, waits: Bool) {
    switch effect {
    case .contacted(let version, _): notice(.contacted(version))
    case .openChannel(let opening):
      let isOpen = state.owners[opening.channel].map { open(opening, $0) } ?? false
      state.server.openCompleted(opening.ticket, success: isOpen)
    case .closeChannel(let channel):
      monitors.forget(channel)
      // Gone already when the guest unloaded.
      guard let owner = state.owners[channel] else { break }
      close(channel, owner.close(channel), &state, waits: waits)
    case .retargetChannel(let channel, let vp): state.owners[channel]?.retarget(channel, to: vp)
    case .shareGPADL(let id, let channel):
      if let memory = state.server.gpadl(id, on: channel) { state.owners[channel]?.share(memory, as: id, on: channel) }
    case .releaseGPADL(let id, let channel): state.owners[channel]?.withdraw(id, on: channel)
    case .channelReleased(let channel): state.owners[channel] = nil
    case .unloaded: notice(.unloaded)
    case .refused(let refusal, let type): notice(.refused(refusal, type))
    }
  }

  private func open(_ opening: ChannelOpening, _ owner: any ChannelOwner) -> Bool {
    if let monitor = opening.monitor {
      guard monitors.watch(monitor, of: opening.channel, owner: owner) else { return false }
    }
    if owner.open(opening) { return true }
    monitors.forget(opening.channel)
    return false
  }

  private func close(_ channel: ChannelID, _ closing: ChannelClosing, _ state: inout State, waits: Bool) {
    switch closing {
    case .closed(let subChannels): rescind(subChannels, &state)
    case .underWay(let wait) where waits:
      let picture = Self.picture(of: state.server)
      meanwhile.withLock { $0 = picture }
      let subChannels = wait()
      meanwhile.withLock { $0 = nil }
      rescind(subChannels, &state)
    case .underWay(let wait):
      state.closing.insert(channel)
      closers.async { [self] in
        let subChannels = wait()
        self.state.withLock { state in
          state.closing.remove(channel)
          rescind(subChannels, &state)
          carryOut(&state, waits: false)
          resume(&state)
        }
      }
    }
  }

  private func rescind(_ channels: [ChannelID], _ state: inout State) {
    for channel in channels { try? state.server.rescind(channel, effects: &state.effects) }
  }

  /// Takes up what the guest said meanwhile, as far as it need not wait any longer. One message may have others wait.
  private func resume(_ state: inout State) {
    var left = state.postponed
    state.postponed = []
    while !left.isEmpty {
      let posted = left.removeFirst()
      if postpone(posted, &state) == nil { _ = receive(posted, &state) }
    }
  }

  /// Moves messages into the guest's slot until it is busy or none is left.
  private func deliver(_ state: inout State) {
    while let outgoing = state.server.nextMessage() {
      guard partition.post(outgoing.payload.bytes, to: outgoing.targetVP) else { return }
      state.server.removeFirstMessage()
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

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
  /// Returns when nothing uses the channel's rings any more, nor memory that came through them. The result: sub-channels
  /// that end with this one, to be rescinded.
  func close(_ channel: ChannelID) -> [ChannelID]
  func retarget(_ channel: ChannelID, to vp: VPIndex)
  /// A signal that came as a hypercall, because no doorbell was bound at that instant.
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

/// The bus server in its place between the partition and the devices: one lock, no thread of its own.
///
/// Lock order: this lock, then a channel owner's. Effects are carried out under the lock, so that the openings and
/// closings of two processors keep their order.
final class PartitionBus: Sendable {
  private struct State {
    var server: BusServer
    var owners: [ChannelID: any ChannelOwner] = [:]
    var effects: [BusServerEffect] = []
  }

  /// What can be seen from outside.
  struct Picture: Sendable {
    var version: ProtocolVersion?
    var channels: [ChannelSummary] = []
    /// Counters by name.
    var refusals: [String: UInt64] = [:]
  }

  private let state: Mutex<State>
  /// While a channel is being closed, which waits for its requests, perhaps for long: how things were before.
  private let meanwhile = Mutex<Picture?>(nil)
  private let partition: PartitionPort
  private let notice: @Sendable (BusNotice) -> Void

  init(
    server: BusServer, partition: PartitionPort, notice: @escaping @Sendable (BusNotice) -> Void
  ) {
    state = Mutex(State(server: server))
    self.partition = partition
    self.notice = notice
  }

  // MARK: From the guest, on processor threads

  func postMessage(connection: UInt32, messageType: UInt32, payload: RawSpan) -> UInt16 {
    // Linux sends type 1 only. The server judges the payload; a foreign type is no channel message.
    guard messageType == 1 else { return HypercallStatus.invalidParameter.rawValue }
    // A span cannot be captured by the lock's closure: at most 240 bytes are copied.
    guard let message = try? MessageBuffer(payload) else { return HypercallStatus.invalidParameter.rawValue }
    return state.withLock { state in
      let status = state.server.receive(
        connection: ConnectionID(connection), payload: message.bytes, effects: &state.effects)
      carryOut(&state)
      return status.rawValue
    }
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

  func rescind(_ channel: ChannelID) throws(BusServerError) {
    try state.withLock { state throws(BusServerError) in
      try state.server.rescind(channel, effects: &state.effects)
      carryOut(&state)
    }
  }

  /// The guest is gone without a word: close everything, keep the offers.
  func reset() {
    state.withLock { state in
      state.server.reset(effects: &state.effects)
      carryOut(&state)
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

  private func carryOut(_ state: inout State) {
    // Closing a channel may end its sub-channels, which have none: two rounds at most.
    while !state.effects.isEmpty {
      let effects = state.effects
      state.effects.removeAll(keepingCapacity: true)
      for effect in effects { carryOut(effect, &state) }
    }
    deliver(&state)
  }

  private func carryOut(_ effect: BusServerEffect, _ state: inout State) {
    switch effect {
    case .contacted(let version, _): notice(.contacted(version))
    case .openChannel(let opening):
      let isOpen = state.owners[opening.channel]?.open(opening) ?? false
      state.server.openCompleted(opening.ticket, success: isOpen)
    case .closeChannel(let channel):
      // Gone already when the guest unloaded.
      guard let owner = state.owners[channel] else { break }
      let picture = Self.picture(of: state.server)
      meanwhile.withLock { $0 = picture }
      let others = owner.close(channel)
      meanwhile.withLock { $0 = nil }
      for other in others {
        try? state.server.rescind(other, effects: &state.effects)
      }
    case .retargetChannel(let channel, let vp): state.owners[channel]?.retarget(channel, to: vp)
    case .shareGPADL(let id, let channel):
      if let memory = state.server.gpadl(id, on: channel) { state.owners[channel]?.share(memory, as: id, on: channel) }
    case .releaseGPADL(let id, let channel): state.owners[channel]?.withdraw(id, on: channel)
    case .channelReleased(let channel): state.owners[channel] = nil
    case .unloaded: notice(.unloaded)
    case .refused(let refusal, let type): notice(.refused(refusal, type))
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

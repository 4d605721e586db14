// SPDX-License-Identifier: Apache-2.0

import Partition
import Synchronization
import VMBus
import VMBusHost

/// What the devices behind the bus are told. Called under the bus's lock, on processor threads: implementations may take
/// their own lock, but must not call the bus back.
protocol ChannelOwner: AnyObject, Sendable {
  /// Whether the device accepts the opening.
  func open(_ opening: ChannelOpening) -> Bool
  /// Returns when nothing uses the channel's rings any more.
  func close(_ channel: ChannelID)
  func retarget(_ channel: ChannelID, to vp: VPIndex)
  /// A signal that came as a hypercall, because no doorbell was bound at that instant.
  func signalled(_ channel: ChannelID)
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
    var effects: [BusServerEffect] = []
  }

  private let state: Mutex<State>
  private let partition: PartitionPort
  private let owner: any ChannelOwner
  private let notice: @Sendable (BusNotice) -> Void

  init(
    server: BusServer, partition: PartitionPort, owner: any ChannelOwner,
    notice: @escaping @Sendable (BusNotice) -> Void
  ) {
    state = Mutex(State(server: server))
    self.partition = partition
    self.owner = owner
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
    let channel = state.withLock { $0.server.openChannel(signalledOn: ConnectionID(connection)) }
    guard let channel else { return HypercallStatus.invalidConnectionID.rawValue }
    owner.signalled(channel)
    return HypercallStatus.success.rawValue
  }

  /// The slot of a processor may be free again.
  func messageSlotFreed() { state.withLock { deliver(&$0) } }

  // MARK: From the machine

  /// `assigned` learns the channel's number before the guest can hear of it.
  func offer(_ description: OfferDescription, assigned: (ChannelID) -> Void) throws(BusServerError) {
    try state.withLock { state throws(BusServerError) in
      assigned(try state.server.offer(description))
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

  var version: ProtocolVersion? { state.withLock { $0.server.version } }
  var channels: [ChannelSummary] { state.withLock { $0.server.channels } }
  var refusals: [String: UInt64] {
    state.withLock { state in
      var counts: [String: UInt64] = [:]
      for refusal in BusRefusal.allCases {
        let count = state.server.count(of: refusal)
        if count > 0 { counts["bus.refused.\(refusal)"] = count }
      }
      return counts
    }
  }

  // MARK: Under the lock

  private func carryOut(_ state: inout State) {
    // No effect's execution makes another one, so one pass is enough.
    let effects = state.effects
    state.effects.removeAll(keepingCapacity: true)
    for effect in effects {
      switch effect {
      case .contacted(let version, _): notice(.contacted(version))
      case .openChannel(let opening): state.server.openCompleted(opening.ticket, success: owner.open(opening))
      case .closeChannel(let channel): owner.close(channel)
      case .retargetChannel(let channel, let vp): owner.retarget(channel, to: vp)
      // The integration services share no memory but their rings, and those end with `closeChannel`.
      case .releaseGPADL: break
      case .channelReleased: break
      case .unloaded: notice(.unloaded)
      case .refused(let refusal, let type): notice(.refused(refusal, type))
      }
    }
    deliver(&state)
  }

  /// Moves messages into the guest's slot until it is busy or none is left.
  private func deliver(_ state: inout State) {
    while let outgoing = state.server.nextMessage() {
      guard partition.post(outgoing.payload.bytes, to: outgoing.targetVP) else { return }
      state.server.removeFirstMessage()
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

// Open, close, modify, release: the life of a channel.

extension BusServer {
  mutating func openChannel(_ message: OpenChannel, effects: inout [BusServerEffect]) {
    guard let channel = table[message.channel], channel.isKnownToGuest else {
      return refuseOpening(message, .unknownChannel, .notFound, effects: &effects)
    }
    switch channel.state {
    case .offered: break
    case .waiting: return  // Excluded above.
    case .opening, .open:
      return refuseOpening(message, .channelAlreadyOpen, .invalidDeviceState, effects: &effects)
    case .rescinded:
      return refuseOpening(message, .channelRescinded, .invalidDeviceState, effects: &effects)
    }
    guard isTarget(message.targetVP) else {
      return refuseOpening(message, .absentProcessor, .invalidParameter, effects: &effects)
    }
    guard let gpadl = gpadl(message.ringGPADL, on: message.channel) else {
      return refuseOpening(message, .noRingGPADL, .invalidParameter, effects: &effects)
    }
    let rings: (guestToHost: [UInt64], hostToGuest: [UInt64])
    do throws(GPADLError) {
      rings = try gpadl.rings(hostToGuestPageOffset: message.hostToGuestPageOffset)
    } catch {
      return refuseOpening(message, error.refusal, .invalidParameter, effects: &effects)
    }
    openingSerial &+= 1
    let ticket = OpenTicket(channel: message.channel, serial: openingSerial)
    table[message.channel]?.state = .opening(
      HostChannel.Opening(
        ticket: ticket, openID: message.openID, ringGPADL: message.ringGPADL, targetVP: message.targetVP))
    effects.append(
      .openChannel(
        ChannelOpening(
          ticket: ticket, ringGPADL: message.ringGPADL, guestToHostFrames: rings.guestToHost,
          hostToGuestFrames: rings.hostToGuest, targetVP: message.targetVP, connection: .channel(message.channel),
          monitor: monitor(of: channel), userData: message.userData)))
  }

  private mutating func refuseOpening(
    _ message: OpenChannel, _ refusal: BusRefusal, _ status: NTStatus, effects: inout [BusServerEffect]
  ) {
    refuse(refusal, .openChannel, effects: &effects)
    reply(.openResult(OpenResult(channel: message.channel, openID: message.openID, status: status)))
  }

  /// The end of an opening that is under way is of no interest to a guest that closes.
  mutating func closeChannel(_ message: CloseChannel, effects: inout [BusServerEffect]) {
    guard let channel = table[message.channel], channel.isKnownToGuest else {
      return refuse(.unknownChannel, .closeChannel, effects: &effects)
    }
    switch channel.state {
    case .opening, .open: close(message.channel, effects: &effects)
    case .offered: refuse(.channelNotOpen, .closeChannel, effects: &effects)
    // The owner closed it when it rescinded; the guest does so in its own time.
    case .rescinded: break
    case .waiting: break  // Excluded above.
    }
  }

  /// Tells the owner to close an opening or open channel.
  mutating func close(_ id: ChannelID, effects: inout [BusServerEffect]) {
    guard table[id]?.opening != nil else { return }
    table[id]?.state = .offered
    effects.append(.closeChannel(id))
  }

  mutating func modifyChannel(
    _ message: ModifyChannel, version: ProtocolVersion, effects: inout [BusServerEffect]
  ) {
    guard version.hasModifyChannel else { return refuse(.notInVersion, .modifyChannel, effects: &effects) }
    let status: NTStatus
    if let refusal = retarget(message, effects: &effects) {
      refuse(refusal, .modifyChannel, effects: &effects)
      status = .invalidParameter
    } else {
      status = .success
    }
    if version.hasModifyChannelResponse {
      reply(.modifyChannelResponse(ModifyChannelResponse(channel: message.channel, status: status)))
    }
  }

  private mutating func retarget(_ message: ModifyChannel, effects: inout [BusServerEffect]) -> BusRefusal? {
    guard let channel = table[message.channel], channel.isKnownToGuest else { return .unknownChannel }
    guard isTarget(message.targetVP) else { return .absentProcessor }
    switch channel.state {
    case .open(var opening):
      opening.targetVP = message.targetVP
      table[message.channel]?.state = .open(opening)
      effects.append(.retargetChannel(message.channel, message.targetVP))
      return nil
    case .offered, .opening, .waiting: return .channelNotOpen
    case .rescinded: return .channelRescinded
    }
  }

  /// The guest may be told nothing more about the number, which is free for another offer.
  mutating func channelReleased(_ message: ChannelReleased, effects: inout [BusServerEffect]) {
    guard let channel = table[message.channel], channel.isKnownToGuest else {
      return refuse(.unknownChannel, .channelReleased, effects: &effects)
    }
    guard channel.isRescinded else { return refuse(.channelNotRescinded, .channelReleased, effects: &effects) }
    queue.cancelRescind(of: message.channel)
    forget(message.channel, effects: &effects)
    if let successor = table.first(where: { $0.isWaiting && $0.description.hasSameIdentity(as: channel.description) }) {
      announce(successor)
    }
  }

  func isTarget(_ vp: VPIndex) -> Bool { vp == .none || vp.rawValue < UInt32(clamping: processorCount) }

  /// Has the owner let go of the rings and all shared memory of a channel; the guest may still tear it down.
  mutating func stopUsing(_ id: ChannelID, effects: inout [BusServerEffect]) {
    guard let channel = table[id], !channel.isRescinded else { return }
    close(id, effects: &effects)
    guard channel.gpadlCount > 0 else { return }
    for gpadl in gpadlIDs(of: id) where gpadls[gpadl]?.complete != nil {
      effects.append(.releaseGPADL(gpadl, id))
    }
  }

  /// Takes a channel that the owner has stopped using out of the table, with what the guest left on it.
  mutating func forget(_ id: ChannelID, effects: inout [BusServerEffect]) {
    if let channel = table[id], channel.gpadlCount > 0 {
      for gpadl in gpadlIDs(of: id) { removeGPADL(gpadl) }
    }
    table[id] = nil
    effects.append(.channelReleased(id))
  }
}

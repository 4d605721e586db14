// SPDX-License-Identifier: Apache-2.0

import VMBus

// Contact, offers, unload: the life of a connection.

extension BusServer {
  /// In every state: what the guest had is gone, as if it had unloaded, since it may be another kernel after a kexec
  /// or a crash. There is always an answer.
  mutating func initiateContact(_ contact: InitiateContact, effects: inout [BusServerEffect]) {
    disconnect(effects: &effects)
    // An answer to a contact that we can't use goes where the guest may look for it.
    let processorExists = contact.targetVP.rawValue < UInt32(clamping: processorCount)
    let targetVP = contact.version.honoursTargetVP && processorExists ? contact.targetVP : VPIndex(0)

    guard contact.version.isSupported, contact.version <= maximumVersion else {
      refuse(.unsupportedVersion, .initiateContact, effects: &effects)
      return answerContact(false, state: .successful, 0, targetVP: targetVP)
    }
    guard processorExists || !contact.version.honoursTargetVP, contact.namesBusInterrupt else {
      refuse(.unusableTarget, .initiateContact, effects: &effects)
      // Not "supported, but failed": Linux looks at the first of the two only.
      return answerContact(false, state: .unknownFailure, 0, targetVP: targetVP)
    }
    let connection = Connection(
      version: contact.version, targetVP: targetVP, monitorPage: monitorPage(contact.guestToHostMonitorPage))
    self.connection = connection
    effects.append(.contacted(contact.version, targetVP: targetVP))
    let selection =
      contact.version.usesMessageConnection ? connection.port.rawValue : contact.version.rawValue
    answerContact(true, state: .successful, selection, targetVP: targetVP)
  }

  /// A guest may leave the page out, or name any other: then it is signalled by hypercalls only.
  private func monitorPage(_ address: UInt64) -> UInt64? {
    address != 0 && address & 0xFFF == 0 && guestFrames.contains(address >> 12) ? address >> 12 : nil
  }

  private mutating func answerContact(
    _ isSupported: Bool, state: ConnectionState, _ versionOrConnection: UInt32, targetVP: VPIndex
  ) {
    queue.append(
      .versionResponse(
        VersionResponse(isSupported: isSupported, state: state, versionOrConnection: versionOrConnection)),
      to: targetVP)
  }

  mutating func requestOffers(effects: inout [BusServerEffect]) {
    guard connection?.offersRequested == false else {
      return refuse(.offersRequestedTwice, .requestOffers, effects: &effects)
    }
    connection?.offersRequested = true
    for id in table.ids { announce(id) }
    reply(.allOffersDelivered(AllOffersDelivered()))
  }

  /// Offers a waiting channel, if the guest wants offers and has forgotten a channel of the same identity.
  mutating func announce(_ id: ChannelID) {
    guard let connection, connection.offersRequested, let channel = table[id], channel.isWaiting,
      table.first(where: { $0.isRescinded && $0.description.hasSameIdentity(as: channel.description) }) == nil
    else { return }
    table[id]?.state = .offered
    queue.append(
      .offer(channel.description.offer(channel: id, monitor: monitor(of: channel)?.number)), to: connection.targetVP)
  }

  /// Where the guest signals a channel, which it was told with the offer. A guest that gave no page to do so gets offers
  /// without a monitor.
  func monitor(of channel: HostChannel) -> ChannelMonitor? {
    guard let page = connection?.monitorPage, let number = channel.monitor else { return nil }
    return ChannelMonitor(page: page, number: number)
  }

  /// Answered even when nobody is connected: whoever unloads waits.
  mutating func unload(effects: inout [BusServerEffect]) {
    let targetVP = connection?.targetVP ?? VPIndex(0)
    let wasConnected = connection != nil
    disconnect(effects: &effects)
    if wasConnected {
      effects.append(.unloaded)
    } else {
      refuse(.notConnected, .unload, effects: &effects)
    }
    queue.append(.unloadResponse(UnloadResponse()), to: targetVP)
  }

  /// Drops all that the guest has: channels are closed, GPADLs released, rescinded and sub-channels forgotten, unsent
  /// messages thrown away.
  mutating func disconnect(effects: inout [BusServerEffect]) {
    queue.removeAll()
    connection = nil
    for id in table.ids {
      stopUsing(id, effects: &effects)
      guard let channel = table[id] else { continue }
      if channel.isRescinded || channel.description.subChannelIndex != 0 {
        forget(id, effects: &effects)
      } else {
        table[id]?.state = .waiting
        table[id]?.gpadlCount = 0
      }
    }
    gpadls.removeAll()
    gpadlWords = 0
  }
}

extension InitiateContact {
  /// Our SynIC messages go to interrupt 2 of trust level 0. Guests below 5.0 don't say.
  var namesBusInterrupt: Bool {
    guard version.usesMessageConnection else { return true }
    return sint == SynIC.busInterrupt && (version < .v5_1 || vtl == 0)
  }
}

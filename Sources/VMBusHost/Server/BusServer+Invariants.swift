// SPDX-License-Identifier: Apache-2.0

import VMBus

extension BusServer {
  /// A sentence about the first thing in the server's state that cannot be; `nil` when all is well. For tests, after
  /// each event.
  public func brokenInvariant() -> String? {
    brokenChannels() ?? brokenGPADLs() ?? brokenQueue()
  }

  private func brokenChannels() -> String? {
    var monitors: Set<UInt8> = []
    for id in table.ids {
      guard let channel = table[id] else { return "channel \(id.rawValue) is listed but absent" }
      guard id.isValid else { return "channel number \(id.rawValue)" }
      if let monitor = channel.monitor {
        guard channel.description.isMonitored, monitor < MonitorPage.monitorCount, monitors.insert(monitor).inserted
        else {
          return "channel \(id.rawValue) has a monitor that is not its own"
        }
      }
      if connection?.offersRequested != true && channel.isKnownToGuest {
        return "channel \(id.rawValue) is known to a guest that has not asked"
      }
      if let opening = channel.opening {
        guard let ring = gpadls[opening.ringGPADL], ring.channel == id, ring.complete != nil else {
          return "the ring of channel \(id.rawValue) is not its own complete GPADL"
        }
        guard isTarget(opening.targetVP) else { return "channel \(id.rawValue) targets an absent processor" }
        guard opening.ticket.channel == id, opening.ticket.serial <= openingSerial else {
          return "channel \(id.rawValue) has the ticket of another opening"
        }
      }
      if !channel.isRescinded {
        let same = table.first { !$0.isRescinded && $0.description.hasSameIdentity(as: channel.description) }
        guard same == id else { return "channel \(id.rawValue) has a twin" }
      }
      if channel.isWaiting, connection?.offersRequested == true {
        let predecessor = table.first { $0.isRescinded && $0.description.hasSameIdentity(as: channel.description) }
        guard predecessor != nil else { return "channel \(id.rawValue) waits for nothing" }
      }
    }
    return nil
  }

  private func brokenGPADLs() -> String? {
    var words = 0
    var counts: [ChannelID: Int] = [:]
    for (id, gpadl) in gpadls {
      guard let channel = table[gpadl.channel], channel.isKnownToGuest else {
        return "GPADL \(id.rawValue) has no channel"
      }
      words += gpadl.wordCount
      counts[gpadl.channel, default: 0] += 1
      switch gpadl.content {
      case .collecting(let collected):
        guard collected.count < gpadl.wordCount else { return "GPADL \(id.rawValue) should be complete" }
      case .complete(let complete):
        guard complete.ranges.count == gpadl.rangeCount else { return "GPADL \(id.rawValue) lost a range" }
      }
    }
    guard words == gpadlWords else { return "\(gpadlWords) GPADL words counted, \(words) there" }
    guard words <= limits.gpadlWords, gpadls.count <= limits.gpadls else { return "GPADLs above the limit" }
    for id in table.ids where table[id]?.gpadlCount != counts[id] ?? 0 {
      return "channel \(id.rawValue) counts its GPADLs wrongly"
    }
    return nil
  }

  private func brokenQueue() -> String? {
    var replies = 0
    for message in queue.pending {
      if message.message.isReply { replies += 1 }
      guard message.targetVP.rawValue < UInt32(clamping: processorCount) else { return "a message to nowhere" }
      switch message.message {
      case .offer(let offer):
        guard table[offer.channel]?.isKnownToGuest == true, table[offer.channel]?.isRescinded == false else {
          return "an offer of absent channel \(offer.channel.rawValue)"
        }
      case .rescind(let rescind):
        guard table[rescind.channel]?.isRescinded == true else {
          return "a rescind of channel \(rescind.channel.rawValue), which is not rescinded"
        }
      default: break
      }
    }
    guard replies == queue.replyCount else { return "\(queue.replyCount) replies counted, \(replies) there" }
    // An opening that completes may add its result to a full queue; there is one for each channel.
    guard replies <= limits.replies + Int(ChannelID.maximum) else { return "too many replies" }
    return nil
  }
}

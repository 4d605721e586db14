// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest
import VMBusHost

extension BusWalk {
  /// Something that a kernel of good will might do now. What the client itself refuses is no step at all.
  mutating func guestStep() {
    do throws(BusClientError) {
      switch guest.state {
      case .disconnected: try guest.connect(to: &host)
      case .contacting, .unloading: return deliver(1)
      case .connected:
        if !guest.offersRequested { return try guest.requestOffers(&host) }
        try connectedStep()
      }
    } catch {
      // The client's refusal, or no room in the server's queue.
    }
  }

  private mutating func connectedStep() throws(BusClientError) {
    switch decisions.choice(1000) {
    case 0..<3: return try guest.unload(&host)
    case 3..<5: return newGuest()
    default: break
    }
    guard let channel = anyKnownChannel() else { return }
    if channel.isRescinded { return try leave(channel) }
    switch (channel.state, decisions.choice(10)) {
    case (.closed, 0..<4): try share(on: channel.id)
    case (.closed, 4..<8):
      if let ring = memory.last(where: { $0.channel == channel.id && $0.pages >= 4 }) {
        try guest.open(
          channel.id, ring: ring.id, hostToGuestPageOffset: UInt32(2 + decisions.choice(ring.pages - 3)),
          targetVP: target(), &host)
      }
    case (.closed, _), (.open, 0..<2): try takeBack(on: channel.id)
    case (.open, 2..<5): try guest.modify(channel.id, targetVP: target(), &host)
    case (.open, 5..<7): try share(on: channel.id)
    case (.open, _): try guest.close(channel.id, &host)
    case (.opening, _): deliver(1)
    }
  }

  /// As Linux leaves a rescinded channel: close, tear down, release.
  private mutating func leave(_ channel: ClientChannel) throws(BusClientError) {
    if channel.state == .open { return try guest.close(channel.id, &host) }
    if memory.contains(where: { $0.channel == channel.id }) { return try takeBack(on: channel.id) }
    try guest.release(channel.id, &host)
  }

  private mutating func share(on channel: ChannelID) throws(BusClientError) {
    // Most of them fit a header; some need bodies.
    let pages = decisions.oneIn(10) ? 4 + decisions.choice(150) : 4 + decisions.choice(8)
    let frames = ConsecutiveFrames(first: 0x1000 + UInt64(decisions.choice(0x2000)), count: pages)
    let id = try guest.createGPADL(on: channel, frames, &host)
    memory.append(SharedMemory(id: id, channel: channel, pages: pages))
  }

  private mutating func takeBack(on channel: ChannelID) throws(BusClientError) {
    guard let index = memory.firstIndex(where: { $0.channel == channel }) else { return }
    do throws(BusClientError) {
      try guest.tearDown(memory[index].id, &host)
    } catch {
      // Refused by the host when it was made, or forgotten with a rescinded channel.
      if error == .wrongGPADL { memory.remove(at: index) }
      throw error
    }
  }

  private mutating func target() -> VPIndex { decisions.oneIn(6) ? .none : VPIndex(UInt32(decisions.choice(4))) }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Partition
import ServiceProviders
import VMBus
import VMBusHost

/// One integration service on this machine: the provider, and the channel it talks over while that is open.
struct OfferedService {
  /// The largest packet that a driver of a service sends: KVP's receive buffer is four pages (hv_kvp.c, Linux 6.1); a
  /// guest's whole ring is no larger.
  static let largestPacket = 16 * 1024
  /// Packets that may wait for room in the guest's ring. Providers have one message outstanding at a time.
  static let outgoingLimit = 16

  var provider: any IntegrationServiceProvider
  /// Switched on by the administrator. A service that is off is not offered.
  var enabled: Bool
  /// The offer, while there is one.
  var channel: ChannelID?
  var connection: ConnectionID?
  var targetVP = VPIndex.none
  var rings: ChannelRings?
  /// Waiting for room in the ring, oldest first.
  var outgoing: [[UInt8]] = []
  /// Why the rings were given up, for this opening of the channel.
  var broken: RingError?

  init(provider: any IntegrationServiceProvider, enabled: Bool) {
    self.provider = provider
    self.enabled = enabled
  }

  /// Lets the provider see what the guest has sent.
  mutating func receive(_ clock: ServiceClock) -> IncomingRing.Drained {
    guard let rings else { return IncomingRing.Drained() }
    do throws(RingError) {
      return try rings.drain { packet, bytes in
        // Linux answers with in-band packets only, and none of ours asks for a completion.
        guard packet.type == .inBand, let payload = try? packet.payload(in: bytes) else { return }
        provider.receive(payload, clock)
      }
    } catch {
      giveUp(error, clock)
      return IncomingRing.Drained()
    }
  }

  /// Queues a packet for the guest's ring.
  mutating func enqueue(_ payload: [UInt8]) {
    guard outgoing.count < Self.outgoingLimit else { return }
    outgoing.append(payload)
  }

  /// Writes what waits, as far as there is room. True: signal the guest.
  mutating func flush(_ clock: ServiceClock) -> Bool {
    guard let rings else {
      outgoing.removeAll()
      return false
    }
    var signal = false
    while let payload = outgoing.first {
      do throws(RingError) {
        signal = try rings.send(payload) || signal
        outgoing.removeFirst()
      } catch {
        switch error {
        case .full(let needed):
          if !rings.requestSpace(needed) { return signal }
        case .tooLarge, .corrupt:
          giveUp(error, clock)
          return signal
        }
      }
    }
    return signal
  }

  /// The guest broke its ring: the channel is dead until the guest opens it anew.
  private mutating func giveUp(_ error: RingError, _ clock: ServiceClock) {
    rings = nil
    outgoing.removeAll()
    broken = error
    provider.channelClosed(clock)
  }
}

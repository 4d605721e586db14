// SPDX-License-Identifier: Apache-2.0

import Dispatch
import VMBus
import VMBusHost

/// A device with a first channel and sub-channels, each served by a runner of its own.
protocol MultichannelDevice: ChannelOwner {
  associatedtype Runner: ChannelRunner

  /// For the first channel (0) or a sub-channel.
  func offer(subChannel index: UInt16) -> OfferDescription
  /// Under the device's lock.
  func withChannels<R>(_ body: (inout DeviceChannels<Runner>) -> R) -> R
  /// Where sub-channels are offered.
  var bus: @Sendable () -> PartitionBus? { get }
  /// Sub-channels are offered on it and not on the channels' threads: the bus may wait for those when a channel is closed.
  var offers: DispatchQueue { get }
  func subChannelNotOffered(_ reason: String)
}

extension MultichannelDevice {
  /// Puts the device on the bus.
  func offer(on bus: PartitionBus) throws(BusServerError) {
    try bus.offer(offer(subChannel: 0), owner: self) { channel in
      withChannels { $0.offered(channel, as: 0) }
    }
  }

  /// Takes it off the bus: the guest loses the device.
  func withdraw(from bus: PartitionBus) {
    guard let channel = withChannels({ $0.first }) else { return }
    // Closed already, or the guest has forgotten it.
    do throws(BusServerError) { try bus.rescind(channel) } catch {}
  }

  /// Offers as many sub-channels, soon, unless the first channel is closed before. `opening` is the channels' when the
  /// guest asked.
  func offerSubChannels(_ count: UInt16, of opening: UInt64) {
    guard count > 0 else { return }
    offers.async { [self] in
      guard let bus = bus() else { return }
      for index in 1...count {
        do throws(BusServerError) {
          // Under the bus's lock, so that the first channel is not closed in between, nor its closing begun.
          try bus.offer(
            offer(subChannel: index), owner: self,
            when: { withChannels { $0.opening == opening && $0[0] != nil } }
          ) { channel in
            withChannels { $0.offered(channel, as: index) }
          }
        } catch {
          subChannelNotOffered(String(describing: error))
        }
      }
    }
  }

  func retarget(_ channel: ChannelID, to vp: VPIndex) {
    withChannels { $0.runner(of: channel) }?.retarget(to: vp)
  }

  func signalled(_ channel: ChannelID) { withChannels { $0.runner(of: channel) }?.ring() }
}

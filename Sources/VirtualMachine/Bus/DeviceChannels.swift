// SPDX-License-Identifier: Apache-2.0

import VMBus

/// One open channel of a device with several: whoever serves its rings.
protocol ChannelRunner: AnyObject, Sendable {
  func retarget(to vp: VPIndex)
  /// The guest has something for it.
  func ring()
}

/// The channels of one device: the first, which the device puts on the bus, and the sub-channels that the guest asked
/// for. A value under the device's lock.
struct DeviceChannels<Runner: ChannelRunner> {
  /// What is left to do for a channel that is being closed.
  struct Closing: Sendable {
    var index: UInt16
    var runner: Runner
    var connection: ConnectionID
  }

  private struct Open {
    var runner: Runner
    /// Where its doorbell is bound.
    var connection: ConnectionID
  }

  /// Which channel of the device each offered channel of the bus is.
  private var indices: [ChannelID: UInt16] = [:]
  /// Sub-channels that are being rescinded.
  private var leaving: [ChannelID: UInt16] = [:]
  private var open: [UInt16: Open] = [:]
  /// Changes whenever the first channel is opened or closed: sub-channels belong to one opening.
  private(set) var opening: UInt64 = 0

  /// The first channel, while it is on the bus.
  var first: ChannelID? { indices.first { $0.value == 0 }?.key }
  var openCount: Int { open.count }
  var runners: some Collection<Runner> { open.values.lazy.map(\.runner) }

  subscript(index: UInt16) -> Runner? { open[index]?.runner }
  func index(of channel: ChannelID) -> UInt16? { indices[channel] }
  func runner(of channel: ChannelID) -> Runner? { indices[channel].flatMap { self[$0] } }

  mutating func offered(_ channel: ChannelID, as index: UInt16) { indices[channel] = index }

  /// The index of a channel that may be opened now.
  func closedIndex(of channel: ChannelID) -> UInt16? {
    guard let index = indices[channel], open[index] == nil else { return nil }
    return index
  }

  mutating func opened(_ index: UInt16, _ runner: Runner, at connection: ConnectionID) {
    if index == 0 { opening &+= 1 }
    open[index] = Open(runner: runner, connection: connection)
  }

  /// nil: it was not open.
  mutating func beginClosing(_ channel: ChannelID) -> Closing? {
    guard let index = indices[channel] ?? leaving.removeValue(forKey: channel),
      let ended = open.removeValue(forKey: index)
    else { return nil }
    return Closing(index: index, runner: ended.runner, connection: ended.connection)
  }

  /// The sub-channels that end with the channel, in the order of their identifiers: the bus is to rescind them.
  mutating func endClosing(_ index: UInt16) -> [ChannelID] {
    guard index == 0 else { return [] }
    opening &+= 1
    let ending = indices.filter { $0.value != 0 }
    indices = indices.filter { $0.value == 0 }
    leaving.merge(ending) { $1 }
    return ending.keys.sorted { $0.rawValue < $1.rawValue }
  }
}

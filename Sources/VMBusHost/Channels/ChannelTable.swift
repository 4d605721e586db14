// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The channels by number. Numbers are given out lowest first, so the table is as long as it has to be.
struct ChannelTable: Sendable {
  /// Index: channel number. Entry 0 is never used.
  private var slots: [HostChannel?] = [nil]

  subscript(id: ChannelID) -> HostChannel? {
    get {
      guard let index = Int(exactly: id.rawValue), index < slots.count else { return nil }
      return slots[index]
    }
    set {
      guard let index = Int(exactly: id.rawValue), index > 0, index < slots.count else { return }
      slots[index] = newValue
    }
  }

  /// `nil`: all 2047 numbers are taken.
  mutating func insert(_ channel: HostChannel) -> ChannelID? {
    for index in 1..<max(slots.count, 1) where slots[index] == nil {
      slots[index] = channel
      return ChannelID(UInt32(index))
    }
    guard slots.count <= Int(ChannelID.maximum) else { return nil }
    slots.append(channel)
    return ChannelID(UInt32(slots.count - 1))
  }

  /// In the order of their numbers.
  var ids: [ChannelID] {
    slots.indices.compactMap { slots[$0] == nil ? nil : ChannelID(UInt32($0)) }
  }

  /// The lowest monitor that is no channel's.
  var freeMonitor: UInt8? {
    (0..<MonitorPage.monitorCount).first { number in first { $0.monitor == number } == nil }
  }

  func first(where condition: (HostChannel) -> Bool) -> ChannelID? {
    for index in slots.indices {
      if let channel = slots[index], condition(channel) { return ChannelID(UInt32(index)) }
    }
    return nil
  }
}

// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import VirtualMachine

/// The bookkeeping of a device with sub-channels.
@Suite struct DeviceChannelsTests {
  private final class Runner: ChannelRunner {
    func retarget(to vp: VPIndex) {}
    func ring() {}
  }

  private static let first = ChannelID(1)

  private func opened(subChannels: UInt16) -> DeviceChannels<Runner> {
    var channels = DeviceChannels<Runner>()
    channels.offered(Self.first, as: 0)
    channels.opened(0, Runner(), at: ConnectionID(0x2001))
    // The bus hands identifiers out as it likes.
    for index in 0..<subChannels {
      let id = ChannelID(UInt32(9 - index))
      channels.offered(id, as: index + 1)
      channels.opened(index + 1, Runner(), at: ConnectionID(0x2000 + id.rawValue))
    }
    return channels
  }

  @Test func aChannelIsOpenedOnce() {
    var channels = DeviceChannels<Runner>()
    #expect(channels.closedIndex(of: Self.first) == nil)
    channels.offered(Self.first, as: 0)
    #expect(channels.closedIndex(of: Self.first) == 0)
    channels.opened(0, Runner(), at: ConnectionID(0x2001))
    #expect(channels.closedIndex(of: Self.first) == nil)
    #expect(channels.first == Self.first)
  }

  @Test func subChannelsEndWithTheFirst() {
    var channels = opened(subChannels: 3)
    let opening = channels.opening
    #expect(channels.openCount == 4)
    #expect(channels.beginClosing(Self.first)?.connection == ConnectionID(0x2001))
    #expect(channels.endClosing(0) == [ChannelID(7), ChannelID(8), ChannelID(9)])
    #expect(channels.opening != opening)
    // Each is closed once more when the bus has rescinded it, and cannot be opened meanwhile.
    #expect(channels.closedIndex(of: ChannelID(8)) == nil)
    #expect(channels.beginClosing(ChannelID(8))?.index == 2)
    #expect(channels.beginClosing(ChannelID(8)) == nil)
    #expect(channels.openCount == 2)
    #expect(channels.first == Self.first)
  }

  @Test func aSubChannelClosesAlone() {
    var channels = opened(subChannels: 2)
    let opening = channels.opening
    #expect(channels.beginClosing(ChannelID(9))?.index == 1)
    #expect(channels.endClosing(1).isEmpty)
    #expect(channels.opening == opening)
    #expect(channels.closedIndex(of: ChannelID(9)) == 1)
  }
}

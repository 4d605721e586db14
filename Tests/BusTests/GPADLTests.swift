// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

@Suite struct GPADLTests {
  /// 26 frames fill a header, 28 a body; 7936 are a network adapter's 31 MiB, 8190 all that a header can announce.
  @Test(arguments: [1, 2, 25, 26, 27, 54, 55, 4096, 7936, 8190])
  func memoryOfEverySizeIsShared(_ pages: Int) throws {
    var guest = try ScriptedGuest.ready()
    guest.share(100, on: 2, pages: pages)
    #expect(
      guest.replies() == [.gpadlCreated(GPADLCreated(channel: ChannelID(2), gpadl: GPADLID(100), status: .success))])
    let range = try #require(guest.server.gpadl(GPADLID(100), on: ChannelID(2))?.ranges.first)
    #expect(range.byteCount == pages * 4096 && range.byteOffset == 0)
    #expect(range.frames == (0..<pages).map { 0x1000 + UInt64($0) })
    #expect(guest.takeEffects() == [.shareGPADL(GPADLID(100), ChannelID(2))])
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(2), gpadl: GPADLID(100))))
    #expect(guest.replies() == [.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(100)))])
    #expect(guest.takeEffects() == [.releaseGPADL(GPADLID(100), ChannelID(2))])
  }

  @Test func severalRangesAndOddOffsetsAreLegal() throws {
    var guest = try ScriptedGuest.ready()
    // 100 bytes at 4090 touch two pages; 1 byte at 0 touches one.
    guest.share(100, on: 1, bytes: 40, ranges: 2, [100 | 4090 << 32, 0x1000, 0x2000, 1, 0x3000])
    let gpadl = try #require(guest.server.gpadl(GPADLID(100), on: ChannelID(1)))
    #expect(
      gpadl.ranges == [
        GPADL.Range(byteCount: 100, byteOffset: 4090, frames: [0x1000, 0x2000]),
        GPADL.Range(byteCount: 1, byteOffset: 0, frames: [0x3000]),
      ])
    guest.openChannel(1, ring: 100)
    #expect(guest.count(.ringNotPages) == 1)
  }

  /// Two GPADLs whose bodies come in turns: a body names only its GPADL.
  @Test func bodiesOfSeveralGPADLsMayAlternate() throws {
    var guest = try ScriptedGuest.ready()
    var words = GPADLWords()
    _ = words.append(40 * 4096)
    for frame in 0..<26 { _ = words.append(0x1000 + UInt64(frame)) }
    var rest = GPADLWords()
    for frame in 26..<40 { _ = rest.append(0x1000 + UInt64(frame)) }
    for id in [UInt32(1), 2] {
      guest.send(
        .gpadlHeader(
          GPADLHeader(channel: ChannelID(id), gpadl: GPADLID(id), rangeBytes: 41 * 8, rangeCount: 1, words: words)))
    }
    for id in [UInt32(2), 1] { guest.send(.gpadlBody(GPADLBody(gpadl: GPADLID(id), words: rest))) }
    #expect(
      guest.replies()
        == [2, 1].map {
          .gpadlCreated(GPADLCreated(channel: ChannelID($0), gpadl: GPADLID($0), status: .success))
        })
    #expect(guest.server.gpadl(GPADLID(1), on: ChannelID(1))?.ranges.first?.frames.count == 40)
  }

  @Test func memoryMaySurviveACloseAndBeMadeBeforeAnOpening() throws {
    var guest = try ScriptedGuest.open()
    guest.share(200, on: 1, pages: 3)
    guest.send(.closeChannel(CloseChannel(channel: ChannelID(1))))
    #expect(guest.server.gpadl(GPADLID(200), on: ChannelID(1)) != nil)
    // Before the close and after it, in any order.
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(100))))
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(200))))
    #expect(guest.replies().suffix(2) == [100, 200].map { .gpadlTorndown(GPADLTorndown(gpadl: GPADLID($0))) })
    guest.expectAlive()
  }

  /// Memory added to the guest counts as guest memory from then on.
  @Test func addedMemoryCanBeShared() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(100, on: 1, bytes: 16, ranges: 1, [4096, 0x10_0000])
    guest.server.addGuestFrames(0x10_0000..<0x10_1000)
    guest.share(101, on: 1, bytes: 16, ranges: 1, [4096, 0x10_0000])
    #expect(guest.server.gpadl(GPADLID(100), on: ChannelID(1)) == nil)
    #expect(guest.server.gpadl(GPADLID(101), on: ChannelID(1)) != nil)
  }
}

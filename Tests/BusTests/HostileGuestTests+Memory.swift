// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus
import VMBusHost

/// GPADLs that lie, that are never finished, that are taken back in the wrong order.
extension HostileGuestTests {
  /// {byte count | byte offset << 32, frames…}, with the counts of the header.
  struct Header: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: UInt16
    var ranges: UInt16
    var words: [UInt64]
    var refusal: BusRefusal
    var testDescription: String { name }
  }

  static let headers = [
    Header(name: "no range", bytes: 16, ranges: 0, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "two ranges, words for one", bytes: 16, ranges: 2, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "65535 ranges", bytes: 0xFFF8, ranges: 0xFFFF, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "no bytes", bytes: 0, ranges: 1, words: [], refusal: .gpadlRanges),
    Header(name: "a range without frames", bytes: 8, ranges: 1, words: [4096], refusal: .gpadlRanges),
    Header(name: "half a word", bytes: 20, ranges: 1, words: [4096, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte count 0", bytes: 16, ranges: 1, words: [0, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte count 2^32-1", bytes: 16, ranges: 1, words: [0xFFFF_FFFF, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte offset 4096", bytes: 16, ranges: 1, words: [1 | 4096 << 32, 0x1000], refusal: .gpadlRanges),
    Header(name: "byte offset 2^32-1", bytes: 16, ranges: 1, words: [.max, 0x1000], refusal: .gpadlRanges),
    Header(name: "a frame too few", bytes: 16, ranges: 1, words: [4097, 0x1000], refusal: .gpadlRanges),
    Header(name: "a frame too many", bytes: 24, ranges: 1, words: [4096, 0x1000, 0x1001], refusal: .gpadlRanges),
    Header(name: "outside of memory", bytes: 16, ranges: 1, words: [4096, 0x100], refusal: .gpadlOutsideMemory),
    Header(
      name: "last frame outside", bytes: 24, ranges: 1, words: [8192, 0x1000, 0x8000], refusal: .gpadlOutsideMemory),
    Header(name: "frame 2^52", bytes: 16, ranges: 1, words: [4096, 1 << 52], refusal: .gpadlOutsideMemory),
    Header(name: "frame 2^64-1", bytes: 16, ranges: 1, words: [4096, .max], refusal: .gpadlOutsideMemory),
  ]

  @Test(arguments: headers) func gpadlHeadersThatLie(_ header: Header) throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 1, bytes: header.bytes, ranges: header.ranges, header.words)
    #expect(guest.count(header.refusal) == 1)
    guard case .gpadlCreated(let created) = guest.replies().last else {
      Issue.record("no answer")
      return
    }
    #expect(created.status != .success && created.gpadl == GPADLID(1))
    #expect(guest.server.channels.allSatisfy { $0.gpadlCount == 0 })
    guest.expectAlive()
  }

  /// Legal: a guest may map one page twice, and harm itself.
  @Test func duplicateFrames() throws {
    var guest = try ScriptedGuest.ready()
    guest.share(1, on: 1, bytes: 40, ranges: 1, [4 * 4096, 0x1000, 0x1000, 0x1000, 0x1000])
    #expect(guest.server.gpadl(GPADLID(1), on: ChannelID(1)) != nil)
    guest.expectAlive()
  }

  @Test func aSecondHeaderForAnExistingGPADL() throws {
    var guest = try ScriptedGuest.open()
    guest.share(100, on: 1, pages: 4)
    guest.share(100, on: 2, pages: 4)
    #expect(guest.count(.gpadlExists) == 2)
    #expect(guest.server.gpadl(GPADLID(100), on: ChannelID(1))?.ranges.first?.frames.count == 8)
    guest.expectAlive()
  }

  @Test func bodiesForNobodyForACompleteGPADLAndEmptyOnes() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.gpadlBody(GPADLBody(gpadl: GPADLID(9), words: GPADLWords())))
    guest.send(.gpadlBody(GPADLBody(gpadl: GPADLID(100), words: GPADLWords())))
    #expect(guest.count(.unknownGPADL) == 1 && guest.count(.gpadlComplete) == 1)
    guest.share(1, on: 1, bytes: 800, ranges: 1, [99 * 4096])
    for _ in 0..<1000 { guest.send(.gpadlBody(GPADLBody(gpadl: GPADLID(1), words: GPADLWords()))) }
    #expect(guest.replies().isEmpty)
    guest.expectAlive()
  }

  @Test func teardownOfAnUnknownATwiceTornAndAnotherChannelsGPADL() throws {
    var guest = try ScriptedGuest.open()
    let torn = HostMessage.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(5)))
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(5))))
    #expect(guest.replies() == [torn])
    guest.share(5, on: 1, pages: 4)
    for _ in 0..<2 { guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(5)))) }
    #expect(guest.replies().suffix(2) == [torn, torn])
    #expect(guest.count(.unknownGPADL) == 2)
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(2), gpadl: GPADLID(100))))
    #expect(guest.replies().isEmpty && guest.count(.gpadlOfOtherChannel) == 1)
    #expect(guest.server.gpadl(GPADLID(100), on: ChannelID(1)) != nil)
    guest.expectAlive()
  }

  /// The owner must never be left with a ring that the guest believes to be its own again.
  @Test func teardownOfTheRingOfAnOpenChannelClosesItFirst() throws {
    var guest = try ScriptedGuest.open()
    guest.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(100))))
    #expect(guest.takeEffects() == [.closeChannel(ChannelID(1)), .releaseGPADL(GPADLID(100), ChannelID(1))])
    #expect(guest.replies() == [.gpadlTorndown(GPADLTorndown(gpadl: GPADLID(100)))])
    #expect(guest.server.channels.first?.state == .offered)
    guest.expectAlive()
  }
}

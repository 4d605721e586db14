// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceProviders
import Testing
import VMBus

@Suite struct HandshakeTests {
  private typealias Guest = ScriptedGuest
  static let mismatch: UInt32 = 0xC000_0059
  static let wrongState: UInt32 = 0xC000_0184
  static let invalid: UInt32 = 0xC000_000D

  /// The packets of Linux's `storvsc_channel_init`, with its transaction id, and the answers that it looks at.
  @Test(arguments: [0x602, 0x600, 0x501] as [UInt16]) func asLinuxDoes(_ version: UInt16) throws {
    var guest = ScriptedGuest()
    let id: UInt64 = 0xFFFF_FFFF_FFFF_FFFD
    let begun = try #require(try guest.ask(Guest.packet(7), id: id))
    #expect(begun.id == id && begun.type == .completion && begun.bytes.count == 64)
    #expect(begun.operation == 1 && begun.status == 0)
    #expect(try guest.ask(Guest.version(version), id: id)?.status == 0)
    let properties = try #require(try guest.ask(Guest.packet(10), id: id))
    #expect(properties.status == 0)
    #expect(Array(properties.bytes[16..<28]) == [3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0])
    #expect(try guest.ask(Guest.packet(8), id: id)?.status == 0)
    #expect(guest.provider.isReady)
    #expect(try guest.ask(Guest.subChannels(3), id: id)?.status == 0)
    #expect(guest.effects == [.offerSubChannels(3)])
  }

  @Test func newerVersionsAreRefused() throws {
    for version in [0x603, 0, 0xFFFF, 0x700, 0x601, 0x500] as [UInt16] {
      var guest = ScriptedGuest()
      _ = try guest.ask(Guest.packet(7))
      #expect(try guest.ask(Guest.version(version))?.status == Self.mismatch)
      #expect(try guest.ask(Guest.packet(10))?.status == Self.wrongState)
      // An older one does.
      #expect(try guest.ask(Guest.version(0x600))?.status == 0)
      #expect(try guest.ask(Guest.packet(10))?.status == 0)
    }
    var old = ScriptedGuest(StorageConfiguration(maximumVersion: .v5_1))
    _ = try old.ask(Guest.packet(7))
    #expect(try old.ask(Guest.version(0x602))?.status == Self.mismatch)
    #expect(try old.ask(Guest.version(0x501))?.status == 0)
  }

  /// Windows 7 and before: packets of 48 bytes, no further channels.
  @Test(arguments: [0x402, 0x200] as [UInt16]) func oldGuests(_ version: UInt16) throws {
    var guest = ScriptedGuest()
    #expect(try guest.ask(Guest.packet(7, count: 48))?.bytes.count == 48)
    #expect(try guest.ask(Array(Guest.version(version).prefix(48)))?.status == 0)
    #expect(try guest.ask(Guest.packet(10, count: 48))?.bytes[16] == 0)
    #expect(try guest.ask(Guest.packet(8, count: 48))?.status == 0)
    let request = try #require(try guest.send(Array(Guest.command([0, 0, 0, 0, 0, 0]).prefix(48))))
    guest.channel.complete(request.id, .good())
    let answer = try #require(try guest.answers().first)
    #expect(answer.bytes.count == 48 && answer.verdict == [1, 0])
    #expect(try guest.ask(Guest.subChannels(1))?.status == Self.invalid)
  }

  @Test func outOfTurn() throws {
    // Everything first.
    for operation in [8, 9, 10, 13] as [UInt8] {
      var guest = ScriptedGuest()
      #expect(try guest.ask(Guest.packet(operation))?.status == Self.wrongState)
    }
    // Everything again when ready; the channel goes on.
    var guest = ScriptedGuest()
    try guest.connect()
    for operation in [7, 8, 9, 10] as [UInt8] {
      #expect(try guest.ask(Guest.packet(operation))?.status == Self.wrongState)
    }
    #expect(guest.provider.isReady && guest.channel.counters.refused == 4)
    #expect(try guest.send(Guest.command([0, 0, 0, 0, 0, 0])) != nil)
  }

  @Test func unknownOperations() throws {
    var guest = ScriptedGuest()
    try guest.connect()
    for operation in [0, 1, 2, 11, 12, 14, 200] as [UInt8] {
      #expect(try guest.ask(Guest.packet(operation))?.status == Self.invalid)
    }
    #expect(guest.channel.counters.malformed == 7)
  }

  @Test func subChannelsAreBounded() throws {
    for (count, status) in [(0, 0), (4, Self.invalid), (65535, Self.invalid), (3, 0)] as [(UInt16, UInt32)] {
      var guest = ScriptedGuest()
      try guest.connect()
      #expect(try guest.ask(Guest.subChannels(count))?.status == status)
      #expect(guest.effects == (count == 3 ? [.offerSubChannels(3)] : []))
      // Twice.
      if count == 3 { #expect(try guest.ask(Guest.subChannels(1))?.status == Self.wrongState) }
    }
    // On a sub-channel, which has no handshake and is ready at once.
    var guest = ScriptedGuest()
    try guest.connect()
    _ = try guest.ask(Guest.subChannels(2))
    guest.open(1)
    #expect(try guest.ask(Guest.subChannels(1))?.status == Self.wrongState)
    #expect(try guest.ask(Guest.packet(7))?.status == Self.wrongState)
    #expect(try guest.send(Guest.command([0, 0, 0, 0, 0, 0])) != nil)
  }

  /// Module reload, kexec: the first channel is closed and opened, and everything starts anew.
  @Test func openedAgain() throws {
    var guest = ScriptedGuest()
    for _ in 0..<100 {
      try guest.connect()
      #expect(try guest.ask(Guest.subChannels(2))?.status == 0)
      guest.effects = []
      guest.open(0)
      #expect(guest.effects == [.withdrawSubChannels])
      #expect(!guest.provider.isReady)
      #expect(try guest.ask(Guest.command([0, 0, 0, 0, 0, 0]))?.status == Self.wrongState)
    }
  }

  @Test func ideHasOneChannel() throws {
    var guest = ScriptedGuest(
      StorageConfiguration(controller: .ide(channel: 1, device: 1), maximumSubChannels: 3))
    for packet in [Guest.packet(7), Guest.version(0x602)] { _ = try guest.ask(packet) }
    let properties = try #require(try guest.ask(Guest.packet(10)))
    #expect(properties.bytes[16] == 0 && properties.bytes[20] == 0)
    _ = try guest.ask(Guest.packet(8))
    #expect(try guest.ask(Guest.subChannels(1))?.status == Self.invalid)
    // Linux: channel 0, target from the instance, unit 0.
    #expect(try guest.send(Guest.command([0, 0, 0, 0, 0, 0], target: 1))?.unit == 0)
    #expect(try guest.send(Guest.command([0, 0, 0, 0, 0, 0], target: 0)).map { $0.unit == nil } == true)
    #expect(try guest.send(Guest.command([0, 0, 0, 0, 0, 0], path: 2, target: 1)).map { $0.unit == nil } == true)
  }
}

// SPDX-License-Identifier: Apache-2.0

import HostSystem
import Glibc
import Synchronization
import Testing
import VMBus

@testable import Partition

/// The slot and the flags over plain memory, against a guest that follows Linux' vmbus_signal_eom and vmbus_chan_sched.
@Suite struct SynICTests {
  let memory: GuestMemory
  let synic: SynICProcessor
  static let messagePage: UInt64 = 0x10_0000
  static let eventPage: UInt64 = 0x10_1000
  static let slot = messagePage + 2 * 256
  static let flags = eventPage + 2 * 256

  init() throws {
    memory = try GuestMemory(byteCount: 128 << 20)
    synic = try SynICProcessor(index: 0, memory: memory)
  }

  func enable(control: UInt64 = 1, events: Bool = true, messages: Bool = true) -> Bool {
    synic.registersChanged(
      control: control, eventPage: Self.eventPage | (events ? 1 : 0), messagePage: Self.messagePage | (messages ? 1 : 0)
    )
  }

  func post(_ bytes: [UInt8]) -> SynICProcessor.PostResult { unsafe synic.post(bytes.span.bytes) }
  func byte(_ address: UInt64) throws -> UInt8 { try memory.read(address, count: 1)[0] }
  func interrupted() -> Bool {
    var value: UInt64 = 0
    return unsafe read(synic.interrupt.number, &value, 8) == 8
  }

  @Test func messageLayout() throws {
    #expect(!enable())
    _ = interrupted()
    try memory.write(Self.slot + 5, [1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])
    #expect(post([0xAA, 0xBB]) == .delivered)
    #expect(interrupted())
    #expect(try memory.read(Self.slot, count: 19) == [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xAA, 0xBB, 0])
    // The neighbours belong to others.
    #expect(try memory.read(Self.slot - 16, count: 16).allSatisfy { $0 == 0 })
    #expect(try memory.read(Self.slot + 256, count: 16).allSatisfy { $0 == 0 })
  }

  @Test func longestMessageEndsWithTheSlot() throws {
    _ = enable()
    #expect(post([UInt8](repeating: 0x77, count: 240)) == .delivered)
    #expect(try byte(Self.slot + 4) == 240)
    #expect(try byte(Self.slot + 255) == 0x77)
    #expect(try byte(Self.slot + 256) == 0)
  }

  @Test func busySlotIsKeptAndMarked() throws {
    _ = enable()
    #expect(post([1]) == .delivered)
    #expect(post([2]) == .busy)
    #expect(try byte(Self.slot + 5) == 1)
    #expect(try byte(Self.slot + 16) == 1)
    #expect(synic.takeSlotWanted())
    #expect(!synic.takeSlotWanted())
    try memory.write(Self.slot, [0, 0, 0, 0])
    #expect(post([2]) == .delivered)
    #expect(try byte(Self.slot + 5) == 0)
  }

  @Test func withoutPagesMessagesWaitForTheirOwner() {
    #expect(post([1]) == .offline)
    #expect(!enable(messages: false))
    #expect(enable())
    #expect(!enable())
    #expect(post([1]) == .delivered)
    #expect(!enable(control: 0))
    #expect(post([1]) == .offline)
  }

  @Test func pagesOutsideMemoryAreNoPages() {
    for address: UInt64 in [.max & ~0xFFF, 0xFEE0_0000, 128 << 20] {
      _ = synic.registersChanged(control: 1, eventPage: address | 1, messagePage: address | 1)
      #expect(post([1]) == .offline)
      synic.signal(flag: 3)
    }
  }

  @Test func eventsInterruptOncePerFlag() throws {
    _ = enable()
    _ = interrupted()
    synic.signal(flag: 9)
    #expect(interrupted())
    #expect(try byte(Self.flags + 1) == 2)
    synic.signal(flag: 9)
    #expect(!interrupted())
    synic.signal(flag: 2047)
    #expect(interrupted())
    #expect(try byte(Self.flags + 255) == 0x80)
    synic.signal(flag: 2048)
    synic.signal(flag: .max)
    #expect(!interrupted())
  }

  @Test func eventsWaitForTheirPage() throws {
    synic.signal(flag: 1)
    synic.signal(flag: 64)
    #expect(!interrupted())
    _ = enable()
    #expect(interrupted())
    #expect(try byte(Self.flags) == 2)
    #expect(try byte(Self.flags + 8) == 1)
    try memory.write(Self.flags, [0])
    _ = enable()
    #expect(try byte(Self.flags) == 0)  // told once
  }

  @Test func resetForgets() throws {
    synic.signal(flag: 1)
    _ = post([1])
    synic.reset()
    #expect(!enable())
    #expect(try byte(Self.flags) == 0)
  }

  /// Host and guest on two threads: every message arrives once and in order, and a refusal is always followed by an EOM.
  @Test func twoThreadsLoseNothing() throws {
    _ = enable()
    let count: UInt32 = 20_000
    let memory = memory
    let synic = synic
    let isOver = Atomic<Bool>(false)
    let isGood = Atomic<Bool>(false)
    // A thread of its own: tasks wait while other tests keep all threads of theirs busy.
    let guest = try DedicatedThread(name: "guest") {
      guard let slot = unsafe memory.pointer(to: Self.slot, count: 256) else { return }
      let type = unsafe slot.assumingMemoryBound(to: Atomic<UInt32>.self)
      let flags = unsafe (slot + 5).assumingMemoryBound(to: Atomic<UInt8>.self)
      for expected in 0..<count {
        while unsafe type.pointee.load(ordering: .acquiring) == 0 {
          if isOver.load(ordering: .relaxed) { return }
          sched_yield()
        }
        let value = unsafe (slot + 16).loadUnaligned(as: UInt32.self)
        guard value == expected else { return }
        _ = unsafe type.pointee.exchange(0, ordering: .sequentiallyConsistent)
        if unsafe flags.pointee.load(ordering: .sequentiallyConsistent) & 1 != 0 { synic.endOfMessage.signal() }
      }
      isGood.store(true, ordering: .releasing)
    }
    defer {
      isOver.store(true, ordering: .relaxed)
      guest.join()
    }
    for value in 0..<count {
      let bytes = AML.little(value)
      while true {
        if case .delivered = post(bytes) { break }
        var poll = pollfd(fd: synic.endOfMessage.number, events: Int16(POLLIN), revents: 0)
        // A lost end of message would be a time-out here.
        let ready = unsafe Glibc.poll(&poll, 1, 10_000)
        try #require(ready == 1)
        synic.endOfMessage.drain()
      }
    }
    guest.join()
    let wasGood = isGood.load(ordering: .acquiring)
    #expect(wasGood)
  }
}

@Suite struct HypercallTests {
  @Test func addresses() {
    #expect(Hypercall.isUsable(0x1000, byteCount: 256) && Hypercall.isUsable(0x1F00, byteCount: 256))
    for address: UInt64 in [0x1004, 0x1F08, .max, .max - 7] { #expect(!Hypercall.isUsable(address, byteCount: 256)) }
  }

  @Test func messageTypes() {
    #expect(Hypercall.isUsable(messageType: 1) && Hypercall.isUsable(messageType: 0x7FFF_FFFF))
    for type: UInt32 in [0, 0x8000_0000, 0x8000_0010, .max] { #expect(!Hypercall.isUsable(messageType: type)) }
  }

  @Test func fastCalls() {
    #expect(Hypercall.isFast(0x1_005C) && !Hypercall.isFast(0x5C))
  }
}

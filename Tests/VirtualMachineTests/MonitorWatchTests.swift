// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Partition
import Synchronization
import Testing
import VMBus
import VMBusHost

@testable import VirtualMachine

/// A guest that signals its channels by bits in memory.
@Suite struct MonitorWatchTests {
  private final class Device: ChannelOwner {
    let opens: Bool
    private let counts = Mutex<[ChannelID: Int]>([:])
    init(opens: Bool = true) { self.opens = opens }

    func open(_ opening: ChannelOpening) -> Bool { opens }
    func close(_ channel: ChannelID) -> ChannelClosing { .closed() }
    func retarget(_ channel: ChannelID, to vp: VPIndex) {}
    func signalled(_ channel: ChannelID) { counts.withLock { $0[channel, default: 0] += 1 } }
    func count(_ channel: UInt32) -> Int { counts.withLock { $0[ChannelID(channel)] ?? 0 } }
  }

  private static let page: UInt64 = 9

  /// A guest of 1 MiB, its monitor page, and the bus with a channel of each device, those below `monitored` to be signalled
  /// there. All are offered.
  private struct Setup {
    let memory: GuestMemory
    let bus: PartitionBus
    let monitors: MonitorPage

    init(_ devices: [Device], monitored: Int = .max, page: UInt64 = MonitorWatchTests.page) throws {
      let memory = try GuestMemory(byteCount: 1 << 20)
      self.memory = memory
      monitors = unsafe MonitorPage(page: try #require(memory.page(MonitorWatchTests.page)))
      // Nobody takes the answers.
      var limits = BusServerLimits()
      limits.replies = 1000
      bus = PartitionBus(
        server: BusServer(processorCount: 1, guestFrames: [0..<256], limits: limits), partition: PartitionPort(),
        memory: { memory },
        notice: { _ in })
      for (number, device) in devices.enumerated() {
        try bus.offer(
          OfferDescription(
            classID: GUID(1, 2, 3, 4, 5), instanceID: GUID(1, 2, 3, 4, UInt64(number)), isMonitored: number < monitored),
          owner: device, assigned: { _ in })
      }
      contact(page)
    }

    func send(_ message: GuestMessage) {
      #expect(bus.postMessage(connection: 4, messageType: 1, payload: message.encoded.bytes) == 0)
    }

    func contact(_ page: UInt64) {
      send(
        .initiateContact(
          InitiateContact(
            version: .v5_3, targetVP: VPIndex(0), interruptPageOrTarget: InitiateContact.target(sint: 2),
            guestToHostMonitorPage: page << 12)))
      send(.requestOffers(RequestOffers()))
    }

    func open(_ channel: UInt32) {
      var words = GPADLWords()
      let first = 0x40 + UInt64(channel) * 8
      for word in [8 * 4096] + (first..<first + 8) { _ = words.append(word) }
      send(
        .gpadlHeader(
          GPADLHeader(
            channel: ChannelID(channel), gpadl: GPADLID(100 + channel), rangeBytes: UInt16(words.count * 8),
            rangeCount: 1, words: words)))
      send(
        .openChannel(
          OpenChannel(
            channel: ChannelID(channel), openID: OpenID(7), ringGPADL: GPADLID(100 + channel), targetVP: VPIndex(0),
            hostToGuestPageOffset: 4, userData: UserData())))
    }

    func close(_ channel: UInt32) { send(.closeChannel(CloseChannel(channel: ChannelID(channel)))) }

    /// The bits that are still set.
    var pending: [UInt32] { (0..<4).map { monitors.pending(UInt8($0) * 32) } }
  }

  /// More than the longest time between two looks.
  private static let aWhile: UInt32 = 20_000

  private static func until(_ condition: () -> Bool) -> Bool {
    for _ in 0..<5000 {
      if condition() { return true }
      usleep(1000)
    }
    return false
  }

  /// Each bit reaches the channel that was offered with it, again and again, and no other.
  @Test(.timeLimit(.minutes(1))) func bitsReachTheirChannels() throws {
    let device = Device()
    let setup = try Setup([device, device, device], monitored: 2)
    for channel: UInt32 in 1...3 { setup.open(channel) }
    for round in 1...50 {
      setup.monitors.raise(1)
      #expect(Self.until { device.count(2) == round })
      if round % 10 == 0 { usleep(Self.aWhile) }
    }
    #expect(device.count(1) == 0 && device.count(3) == 0 && setup.pending == [0, 0, 0, 0])
    setup.monitors.raise(0)
    #expect(Self.until { device.count(1) == 1 })
    setup.bus.reset()
  }

  /// Bits without an open channel are nobody's; they are cleared while another is watched.
  @Test(.timeLimit(.minutes(1))) func bitsWithoutAChannelDoNothing() throws {
    let device = Device()
    let setup = try Setup([device, device])
    setup.open(1)
    for monitor: UInt8 in 1..<128 { setup.monitors.raise(monitor) }
    #expect(Self.until { setup.pending == [0, 0, 0, 0] })
    usleep(Self.aWhile)
    #expect(device.count(1) == 0 && device.count(2) == 0)
    setup.monitors.raise(0)
    #expect(Self.until { device.count(1) == 1 })
    setup.bus.reset()
  }

  /// Closed, unloaded, connected anew, reset: the page is the guest's own again when that is done.
  @Test(.timeLimit(.minutes(1)), arguments: 0..<4) func thePageIsLeftAloneAfterwards(_ end: Int) throws {
    let device = Device()
    let setup = try Setup([device, device])
    setup.open(1)
    setup.open(2)
    switch end {
    case 0:
      setup.close(1)
      setup.close(2)
    case 1: setup.send(.unload(Unload()))
    case 2: setup.contact(0)
    default: setup.bus.reset()
    }
    setup.monitors.raise(0)
    setup.monitors.raise(1)
    usleep(Self.aWhile)
    #expect(setup.pending == [3, 0, 0, 0])
    #expect(device.count(1) == 0 && device.count(2) == 0)
    // What another kernel finds there.
    setup.contact(Self.page)
    setup.open(1)
    #expect(Self.until { device.count(1) == 1 && setup.pending == [0, 0, 0, 0] })
    setup.bus.reset()
  }

  /// A channel that the device does not open is not looked after.
  @Test func whatIsNotOpenedIsNotWatched() throws {
    let device = Device(opens: false)
    let setup = try Setup([device])
    setup.open(1)
    setup.monitors.raise(0)
    usleep(Self.aWhile)
    #expect(setup.pending == [1, 0, 0, 0])
    setup.bus.reset()
  }

  /// The guest may name a page outside of its memory: it has hypercalls then, and nothing is read.
  @Test(arguments: [0, 256, 1 << 40] as [UInt64]) func aPageThatIsNoMemoryIsNotWatched(_ page: UInt64) throws {
    let device = Device()
    let setup = try Setup([device], page: page)
    setup.open(1)
    #expect(setup.bus.picture.channels.map(\.state) == [.open])
    #expect(setup.bus.signalEvent(connection: 0x2001, flag: 0) == 0 && device.count(1) == 1)
    setup.bus.reset()
  }

  /// A guest that sets every bit as fast as it can while channels come and go: nothing is lost of those that stay.
  @Test(.timeLimit(.minutes(1))) func aFloodOfBits() throws {
    let stays = Device()
    let goes = Device()
    let setup = try Setup([stays, goes])
    setup.open(1)
    let isOver = Flag()
    let memory = setup.memory
    let flood = try DedicatedThread(name: "flood") {
      guard let page = unsafe memory.page(Self.page) else { return }
      let monitors = unsafe MonitorPage(page: page)
      while !isOver.value.load(ordering: .acquiring) { for monitor: UInt8 in 0..<128 { monitors.raise(monitor) } }
    }
    for _ in 0..<100 {
      setup.open(2)
      usleep(200)
      setup.close(2)
      setup.send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(2), gpadl: GPADLID(102))))
    }
    isOver.value.store(true, ordering: .releasing)
    flood.join()
    let before = stays.count(1)
    setup.monitors.raise(0)
    #expect(Self.until { stays.count(1) > before })
    setup.bus.reset()
  }

  private final class Flag: Sendable {
    let value = Atomic(false)
  }
}

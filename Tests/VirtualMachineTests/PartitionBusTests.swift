// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing
import VMBus
import VMBusHost

@testable import VirtualMachine

/// The bus between a guest and devices that take their time.
@Suite struct PartitionBusTests {
  /// A device whose channels are closed when the test lets them.
  private final class SlowDevice: ChannelOwner {
    let isClosing = DispatchSemaphore(value: 0)
    let mayClose = DispatchSemaphore(value: 0)
    let subChannels: [ChannelID]
    init(subChannels: [ChannelID] = []) { self.subChannels = subChannels }

    func open(_ opening: ChannelOpening) -> Bool { true }
    func close(_ channel: ChannelID) -> ChannelClosing {
      .underWay { [self] in
        isClosing.signal()
        mayClose.wait()
        return channel == ChannelID(1) ? subChannels : []
      }
    }
    func retarget(_ channel: ChannelID, to vp: VPIndex) {}
    func signalled(_ channel: ChannelID) {}
  }

  private final class QuickDevice: ChannelOwner {
    func open(_ opening: ChannelOpening) -> Bool { true }
    func close(_ channel: ChannelID) -> ChannelClosing { .closed() }
    func retarget(_ channel: ChannelID, to vp: VPIndex) {}
    func signalled(_ channel: ChannelID) {}
  }

  private static func send(_ message: GuestMessage, to bus: PartitionBus) {
    #expect(bus.postMessage(connection: 4, messageType: 1, payload: message.encoded.bytes) == 0)
  }

  private static func contact(_ bus: PartitionBus) {
    let contact = InitiateContact(
      version: .v5_3, targetVP: VPIndex(0), interruptPageOrTarget: InitiateContact.target(sint: 2))
    send(.initiateContact(contact), to: bus)
    send(.requestOffers(RequestOffers()), to: bus)
  }

  private static func open(_ channel: UInt32, on bus: PartitionBus, sharing: Bool = true) {
    if sharing {
      var words = GPADLWords()
      let first = 0x1000 + UInt64(channel) * 16
      for word in [8 * 4096] + (first..<first + 8) { _ = words.append(word) }
      send(
        .gpadlHeader(
          GPADLHeader(
            channel: ChannelID(channel), gpadl: GPADLID(100 + channel), rangeBytes: UInt16(words.count * 8),
            rangeCount: 1, words: words)),
        to: bus)
    }
    send(
      .openChannel(
        OpenChannel(
          channel: ChannelID(channel), openID: OpenID(77), ringGPADL: GPADLID(100 + channel), targetVP: VPIndex(0),
          hostToGuestPageOffset: 4, userData: UserData())), to: bus)
  }

  private static func close(_ channel: UInt32, on bus: PartitionBus) {
    send(.closeChannel(CloseChannel(channel: ChannelID(channel))), to: bus)
  }

  private static func tearDown(_ channel: UInt32, on bus: PartitionBus) {
    send(.gpadlTeardown(GPADLTeardown(channel: ChannelID(channel), gpadl: GPADLID(100 + channel))), to: bus)
  }

  private static func states(_ bus: PartitionBus) -> [ChannelSummary.State] { bus.picture.channels.map(\.state) }
  private static func gpadls(_ bus: PartitionBus) -> [Int] { bus.picture.channels.map(\.gpadlCount) }

  /// A bus with an open channel of each device.
  private static func bus(_ devices: [any ChannelOwner]) throws -> PartitionBus {
    let bus = PartitionBus(
      server: BusServer(maximumVersion: .v5_3, processorCount: 1, guestFrames: [0..<0x8000]),
      partition: PartitionPort(),
      notice: { _ in })
    for (number, device) in devices.enumerated() {
      try bus.offer(
        OfferDescription(classID: GUID(1, 2, 3, 4, 5), instanceID: GUID(1, 2, 3, 4, UInt64(number))), owner: device,
        assigned: { _ in })
    }
    contact(bus)
    for number in devices.indices { open(UInt32(number + 1), on: bus) }
    return bus
  }

  /// Waits for what happens on the bus's own threads.
  private static func until(_ condition: () -> Bool) -> Bool {
    for _ in 0..<5000 {
      if condition() { return true }
      usleep(1000)
    }
    return false
  }

  /// A guest that closes a channel with requests under way has its own memory back when they have ended. Meanwhile all
  /// other devices open and close, and so does everything that the host wants.
  @Test(.timeLimit(.minutes(1))) func aSlowCloseKeepsNobodyWaiting() throws {
    let device = SlowDevice()
    let bus = try Self.bus([device, QuickDevice()])
    #expect(Self.states(bus) == [.open, .open])
    Self.close(1, on: bus)
    device.isClosing.wait()
    // The other device; a new one; a look.
    Self.close(2, on: bus)
    Self.tearDown(2, on: bus)
    #expect(Self.gpadls(bus) == [1, 0])
    Self.open(2, on: bus)
    try bus.offer(
      OfferDescription(classID: GUID(1, 2, 3, 4, 5), instanceID: GUID(9, 2, 3, 4, 5)), owner: QuickDevice(),
      assigned: { _ in })
    Self.open(3, on: bus)
    #expect(Self.states(bus) == [.offered, .open, .open])
    // Its own memory, and opening it again, have to wait; in their order.
    Self.tearDown(1, on: bus)
    Self.open(1, on: bus)
    #expect(Self.gpadls(bus) == [1, 1, 1] && Self.states(bus) == [.offered, .open, .open])
    device.mayClose.signal()
    #expect(Self.until { Self.states(bus) == [.open, .open, .open] })
    #expect(Self.gpadls(bus) == [1, 1, 1])
    #expect(bus.picture.refusals.isEmpty)
    device.mayClose.signal()
    bus.reset()
  }

  /// An unloading, or another kernel's contact, is answered when nothing of the guest's memory is in use.
  @Test(.timeLimit(.minutes(1)), arguments: [false, true]) func unloadingWaits(_ isContact: Bool) throws {
    let device = SlowDevice()
    let bus = try Self.bus([device, QuickDevice()])
    Self.close(1, on: bus)
    device.isClosing.wait()
    if isContact { Self.contact(bus) } else { Self.send(.unload(Unload()), to: bus) }
    // What comes behind it waits, too.
    Self.close(2, on: bus)
    #expect(bus.picture.version == .v5_3 && Self.states(bus) == [.offered, .open])
    device.mayClose.signal()
    let after: [ChannelSummary.State] = isContact ? [.offered, .offered] : [.waiting, .waiting]
    #expect(Self.until { Self.states(bus) == after })
    #expect(bus.picture.version == (isContact ? .v5_3 : nil))
  }

  /// More than a guest with sense would say is refused, and tried again later.
  @Test(.timeLimit(.minutes(1))) func waitingIsBounded() throws {
    let device = SlowDevice()
    let bus = try Self.bus([device])
    Self.close(1, on: bus)
    device.isClosing.wait()
    for _ in 0..<256 { Self.tearDown(1, on: bus) }
    let another = GuestMessage.gpadlTeardown(GPADLTeardown(channel: ChannelID(1), gpadl: GPADLID(101)))
    let status = bus.postMessage(connection: 4, messageType: 1, payload: another.encoded.bytes)
    #expect(status == HypercallStatus.insufficientBuffers.rawValue)
    device.mayClose.signal()
    #expect(Self.until { Self.gpadls(bus) == [0] })
  }

  /// The end of a channel is the end of its sub-channels.
  @Test(.timeLimit(.minutes(1))) func subChannelsEndToo() throws {
    let device = SlowDevice(subChannels: [ChannelID(2)])
    let bus = try Self.bus([device, device])
    Self.close(1, on: bus)
    device.isClosing.wait()
    device.mayClose.signal()
    // The second is open: it is closed as well, for as long as it takes.
    device.isClosing.wait()
    // Nobody took the messages of this bus: of an offer taken back unsent nothing is left.
    #expect(Self.states(bus) == [.offered])
    device.mayClose.signal()
    bus.reset()
  }

  /// The host's own taking away returns when nothing is in use; a reset too. Who only looks is answered all the time.
  @Test(.timeLimit(.minutes(1)), arguments: [false, true]) func theHostWaits(_ isReset: Bool) throws {
    let device = SlowDevice()
    let bus = try Self.bus([device, QuickDevice()])
    let ended = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      if isReset { bus.reset() } else { try? bus.rescind(ChannelID(1)) }
      ended.signal()
    }
    device.isClosing.wait()
    #expect(bus.picture.version == .v5_3 || isReset)
    #expect(Self.states(bus).last == (isReset ? .waiting : .open))
    #expect(ended.wait(timeout: .now() + .milliseconds(20)) == .timedOut)
    device.mayClose.signal()
    ended.wait()
    #expect(Self.states(bus) == (isReset ? [.waiting, .waiting] : [.open]))
  }
}

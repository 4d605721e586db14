// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing
import VMBus
import VMBusHost

@testable import VirtualMachine

/// The bus between a guest and devices that take their time.
@Suite struct PartitionBusTests {
  /// A device whose channel is closed when the test lets it.
  private final class SlowDevice: ChannelOwner {
    let isClosing = DispatchSemaphore(value: 0)
    let mayClose = DispatchSemaphore(value: 0)

    func open(_ opening: ChannelOpening) -> Bool { true }
    func close(_ channel: ChannelID) -> [ChannelID] {
      isClosing.signal()
      mayClose.wait()
      return []
    }
    func retarget(_ channel: ChannelID, to vp: VPIndex) {}
    func signalled(_ channel: ChannelID) {}
  }

  private static func send(_ message: GuestMessage, to bus: PartitionBus) {
    #expect(bus.postMessage(connection: 4, messageType: 1, payload: message.encoded.bytes) == 0)
  }

  /// A bus with one open channel.
  private static func bus(with device: SlowDevice) throws -> PartitionBus {
    let bus = PartitionBus(
      server: BusServer(maximumVersion: .v5_3, processorCount: 1, guestFrames: [0..<0x8000]),
      partition: PartitionPort(),
      notice: { _ in })
    try bus.offer(
      OfferDescription(classID: GUID(1, 2, 3, 4, 5), instanceID: GUID(1, 2, 3, 4, 6)), owner: device, assigned: { _ in }
    )
    let contact = InitiateContact(
      version: .v5_3, targetVP: VPIndex(0), interruptPageOrTarget: InitiateContact.target(sint: 2))
    send(.initiateContact(contact), to: bus)
    send(.requestOffers(RequestOffers()), to: bus)
    var words = GPADLWords()
    for word in [8 * 4096] + (0x1000..<0x1008 as Range<UInt64>) { _ = words.append(word) }
    send(
      .gpadlHeader(
        GPADLHeader(
          channel: ChannelID(1), gpadl: GPADLID(100), rangeBytes: UInt16(words.count * 8), rangeCount: 1, words: words)),
      to: bus)
    send(
      .openChannel(
        OpenChannel(
          channel: ChannelID(1), openID: OpenID(77), ringGPADL: GPADLID(100), targetVP: VPIndex(0),
          hostToGuestPageOffset: 4, userData: UserData())), to: bus)
    return bus
  }

  /// A guest that closes a channel with requests under way waits for them; who asks how the machine is does not.
  @Test func aSlowCloseKeepsNobodyFromLooking() throws {
    let device = SlowDevice()
    let bus = try Self.bus(with: device)
    #expect(bus.picture.channels.map(\.state) == [.open])
    let closed = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      Self.send(.closeChannel(CloseChannel(channel: ChannelID(1))), to: bus)
      closed.signal()
    }
    device.isClosing.wait()
    let picture = bus.picture
    #expect(picture.version == .v5_3 && picture.channels.count == 1 && picture.refusals.isEmpty)
    device.mayClose.signal()
    closed.wait()
    #expect(bus.picture.channels.map(\.state) == [.offered])
  }
}

// SPDX-License-Identifier: Apache-2.0

import CVMBus
import KernelSupport
import VMBus
import VMBusGuest

/// The connection: the protocol's machine and the memory that it shares with the host. C has the only pointer to it,
/// and calls it one at a time, under a lock that sleeps.
struct Bus: ~Copyable {
  /// As many as there are event flags; flag 0 is none.
  static var channelCapacity: Int { 2047 }
  /// A channel has its ring, and a network adapter two buffers more.
  static var gpadlCapacity: Int { 4096 }

  let interruptPage: KernelPages
  let toGuestMonitor: KernelPages
  let toHostMonitor: KernelPages
  let postPage: KernelPages
  let tables: VirtualBuffer
  var client: BusClient

  /// `nil`: no memory.
  static func make(newest: ProtocolVersion, targetVP: VPIndex) -> KernelBox<Bus>? {
    guard let interruptPage = KernelPages(), let toGuestMonitor = KernelPages(), let toHostMonitor = KernelPages(),
      let postPage = KernelPages(),
      let tables = VirtualBuffer(
        byteCount: BusClient.tableBytes(channels: Self.channelCapacity, gpadls: Self.gpadlCapacity))
    else { return nil }
    let pages = ContactPages(
      interrupt: interruptPage.physicalAddress, hostToGuestMonitor: toGuestMonitor.physicalAddress,
      guestToHostMonitor: toHostMonitor.physicalAddress)
    let client = unsafe BusClient(
      targetVP: targetVP, newestVersion: newest, pages: pages, tables: tables.base,
      channelCapacity: Self.channelCapacity, gpadlCapacity: Self.gpadlCapacity)
    return KernelBox(
      Bus(
        interruptPage: interruptPage, toGuestMonitor: toGuestMonitor, toHostMonitor: toHostMonitor,
        postPage: postPage, tables: tables, client: client))
  }

  var sink: Sink { unsafe Sink(page: postPage.base) }
}

extension UnsafeMutableRawPointer {
  /// Of what `bus_make` returned.
  var bus: UnsafeMutablePointer<Bus> { unsafe assumingMemoryBound(to: Bus.self) }
}

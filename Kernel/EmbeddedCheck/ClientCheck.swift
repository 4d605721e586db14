// SPDX-License-Identifier: Apache-2.0

import VMBus
import VMBusGuest

/// A shell that can do nothing: every post fails for good.
struct DeafSink: BusClientSink {
  var events = 0
  mutating func post(_ payload: borrowing MessageBuffer, to connection: ConnectionID) -> HypercallStatus {
    .invalidConnectionID
  }
  mutating func handle(_ event: BusClientEvent) { events &+= 1 }
}

@c(check_client_size)
public func checkClientSize() -> Int { BusClient.tableBytes(channels: 64, gpadls: 128) }

@c(check_client_start)
public func checkClientStart(_ memory: UnsafeMutableRawPointer, _ tables: UnsafeMutableRawPointer) {
  let pages = ContactPages(interrupt: 0x1000, hostToGuestMonitor: 0x2000, guestToHostMonitor: 0x3000)
  unsafe memory.assumingMemoryBound(to: BusClient.self).initialize(
    to: BusClient(pages: pages, tables: tables, channelCapacity: 64, gpadlCapacity: 128))
}

@c(check_client_walk)
public func checkClientWalk(_ memory: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
  let client = unsafe memory.assumingMemoryBound(to: BusClient.self)
  var sink = DeafSink()
  do throws(BusClientError) {
    try unsafe client.pointee.connect(to: &sink)
    unsafe client.pointee.receive(RawSpan(_unsafeStart: bytes, byteCount: count), &sink)
    try unsafe client.pointee.requestOffers(&sink)
    let gpadl = try unsafe client.pointee.createGPADL(
      on: ChannelID(1), ConsecutiveFrames(first: 0x100, count: 8), &sink)
    try unsafe client.pointee.open(
      ChannelID(1), ring: gpadl, hostToGuestPageOffset: 4, targetVP: VPIndex(0), &sink)
    try unsafe client.pointee.modify(ChannelID(1), targetVP: VPIndex(1), &sink)
    try unsafe client.pointee.close(ChannelID(1), &sink)
    try unsafe client.pointee.tearDown(gpadl, &sink)
    try unsafe client.pointee.release(ChannelID(1), &sink)
    try unsafe client.pointee.unload(&sink)
  } catch {
    return -1
  }
  return sink.events
}

@c(check_client_end)
public func checkClientEnd(_ memory: UnsafeMutableRawPointer) {
  let client = unsafe memory.assumingMemoryBound(to: BusClient.self)
  unsafe client.deinitialize(count: 1)
}

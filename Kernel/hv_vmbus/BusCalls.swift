// SPDX-License-Identifier: Apache-2.0

import CVMBus
import KernelSupport
import VMBus
import VMBusGuest

// What C calls, under the bus's lock unless said otherwise. 0 or a negative error number.

/// NULL: no memory.
@c(bus_make)
public func busMake(_ newest: UInt32, _ targetVP: UInt32, _ pages: UnsafeMutablePointer<vb_pages>)
  -> UnsafeMutableRawPointer?
{
  guard let box = Bus.make(newest: ProtocolVersion(rawValue: newest), targetVP: VPIndex(targetVP)) else { return nil }
  unsafe pages.pointee.interrupt = box.value.interruptPage.base
  unsafe pages.pointee.to_guest_monitor = box.value.toGuestMonitor.base
  unsafe pages.pointee.to_host_monitor = box.value.toHostMonitor.base
  return unsafe box.intoPointer()
}

/// Only when the host uses none of its memory any more.
@c(bus_end)
public func busEnd(_ bus: UnsafeMutableRawPointer) {
  _ = unsafe KernelBox<Bus>(pointer: bus)
}

/// Runs a request with a sink.
private func request(
  _ bus: UnsafeMutableRawPointer, _ body: (inout BusClient, inout Sink) throws(BusClientError) -> Void
) -> Int32 {
  var sink = unsafe bus.bus.pointee.sink
  do throws(BusClientError) {
    try unsafe body(&bus.bus.pointee.client, &sink)
    return 0
  } catch {
    return error.errorNumber
  }
}

/// Ends with `vb_connected` or `vb_connect_failed`.
@c(bus_connect)
public func busConnect(_ bus: UnsafeMutableRawPointer) -> Int32 {
  unsafe request(bus) { client, sink throws(BusClientError) in try client.connect(to: &sink) }
}

@c(bus_contact_timed_out)
public func busContactTimedOut(_ bus: UnsafeMutableRawPointer) -> Int32 {
  unsafe request(bus) { client, sink throws(BusClientError) in client.contactTimedOut(&sink) }
}

@c(bus_request_offers)
public func busRequestOffers(_ bus: UnsafeMutableRawPointer) -> Int32 {
  unsafe request(bus) { client, sink throws(BusClientError) in try client.requestOffers(&sink) }
}

/// Ends with `vb_unloaded`.
@c(bus_unload)
public func busUnload(_ bus: UnsafeMutableRawPointer) -> Int32 {
  unsafe request(bus) { client, sink throws(BusClientError) in try client.unload(&sink) }
}

@c(bus_abandon)
public func busAbandon(_ bus: UnsafeMutableRawPointer) {
  unsafe bus.bus.pointee.client.abandon()
}

@c(bus_receive)
public func busReceive(_ bus: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: UInt32) {
  var sink = unsafe bus.bus.pointee.sink
  unsafe bus.bus.pointee.client.receive(RawSpan(_unsafeStart: bytes, byteCount: Int(count)), &sink)
}

/// Pages of the kernel's, in the order of their addresses.
@safe
private struct MappedPages: PageFrameList {
  let base: UnsafeRawPointer
  let count: Int

  func frame(at index: Int) -> UInt64 { unsafe vb_frame(base + index &* SynIC.pageSize) }
}

/// Ends with `vb_answered`.
@c(bus_gpadl_create)
public func busGPADLCreate(
  _ bus: UnsafeMutableRawPointer, _ relid: UInt32, _ span: UnsafePointer<vb_span>,
  _ gpadl: UnsafeMutablePointer<UInt32>
) -> Int32 {
  let pages = unsafe MappedPages(base: span.pointee.base, count: Int(span.pointee.pages))
  return unsafe request(bus) { client, sink throws(BusClientError) in
    unsafe gpadl.pointee = try client.createGPADL(on: ChannelID(relid), pages, &sink).rawValue
  }
}

/// Ends with `vb_answered`.
@c(bus_gpadl_tear_down)
public func busGPADLTearDown(_ bus: UnsafeMutableRawPointer, _ gpadl: UInt32) -> Int32 {
  unsafe request(bus) { client, sink throws(BusClientError) in try client.tearDown(GPADLID(gpadl), &sink) }
}

/// Ends with `vb_answered`.
@c(bus_open)
public func busOpen(_ bus: UnsafeMutableRawPointer, _ opening: UnsafePointer<vb_opening>) -> Int32 {
  var userData = UserData()
  unsafe withUnsafeBytes(of: opening.pointee.user_data) { source in
    if let decoded = try? UserData(decoding: unsafe source.bytes, at: 0) { userData = decoded }
  }
  return unsafe request(bus) { client, sink throws(BusClientError) in
    try unsafe client.open(
      ChannelID(opening.pointee.relid), ring: GPADLID(opening.pointee.gpadl),
      hostToGuestPageOffset: opening.pointee.to_guest_page, targetVP: VPIndex(opening.pointee.target_vp),
      userData: userData, &sink)
  }
}

@c(bus_close)
public func busClose(_ bus: UnsafeMutableRawPointer, _ relid: UInt32) -> Int32 {
  unsafe request(bus) { client, sink throws(BusClientError) in try client.close(ChannelID(relid), &sink) }
}

/// 1: an answer will come with `vb_answered`; 0: the host does not answer in this version.
@c(bus_modify)
public func busModify(_ bus: UnsafeMutableRawPointer, _ relid: UInt32, _ targetVP: UInt32) -> Int32 {
  let result = unsafe request(bus) { client, sink throws(BusClientError) in
    try client.modify(ChannelID(relid), targetVP: VPIndex(targetVP), &sink)
  }
  guard result == 0 else { return result }
  guard let channel = unsafe bus.bus.pointee.client.channel(ChannelID(relid)) else { return 0 }
  return channel.isModifying ? 1 : 0
}

@c(bus_release)
public func busRelease(_ bus: UnsafeMutableRawPointer, _ relid: UInt32) -> Int32 {
  unsafe request(bus) { client, sink throws(BusClientError) in try client.release(ChannelID(relid), &sink) }
}

@c(bus_connect_socket)
public func busConnectSocket(
  _ bus: UnsafeMutableRawPointer, _ endpoint: UnsafeRawPointer, _ service: UnsafeRawPointer
) -> Int32 {
  do throws(WireError) {
    let endpoint = try unsafe GUID(decoding: RawSpan(_unsafeStart: endpoint, byteCount: 16), at: 0)
    let service = try unsafe GUID(decoding: RawSpan(_unsafeStart: service, byteCount: 16), at: 0)
    return unsafe request(bus) { client, sink throws(BusClientError) in
      try client.connectSocket(SocketConnectRequest(endpoint: endpoint, service: service), &sink)
    }
  } catch {
    return EINVAL
  }
}

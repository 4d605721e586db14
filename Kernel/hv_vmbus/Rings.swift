// SPDX-License-Identifier: Apache-2.0

import CVMBus
import KernelSupport
import VMBus

/// The two rings of an open channel, for those drivers that leave them to the bus. Its own indices are private: what
/// the host writes over ours in the header pages changes nothing.
struct Rings: ~Copyable {
  var writer: RingWriter<LinearRingStorage>
  var reader: RingReader<LinearRingStorage>
  /// The packet that was read last.
  var last: Packet?
}

extension UnsafeMutableRawPointer {
  /// Of what `rings_make` returned.
  fileprivate var rings: UnsafeMutablePointer<Rings> { unsafe assumingMemoryBound(to: Rings.self) }
}

/// Clears both header pages and begins at index 0. NULL: no memory, or sizes that cannot be.
@c(rings_make)
public func ringsMake(_ layout: UnsafePointer<vb_rings>) -> UnsafeMutableRawPointer? {
  let layout = unsafe layout.pointee
  guard let toHostPage = unsafe layout.to_host_page, let toHostData = unsafe layout.to_host_data,
    let toGuestPage = unsafe layout.to_guest_page, let toGuestData = unsafe layout.to_guest_data
  else { return nil }
  let toHost = unsafe RingControl(page: toHostPage)
  let toGuest = unsafe RingControl(page: toGuestPage)
  toHost.initialize()
  toGuest.initialize()
  do throws(RingError) {
    let writer = try unsafe RingWriter(
      control: toHost, storage: LinearRingStorage(base: toHostData, byteCount: layout.to_host_bytes))
    let reader = try unsafe RingReader(
      control: toGuest, storage: LinearRingStorage(base: toGuestData, byteCount: layout.to_guest_bytes))
    return unsafe KernelBox(Rings(writer: writer, reader: reader, last: nil))?.intoPointer()
  } catch {
    return nil
  }
}

@c(rings_end)
public func ringsEnd(_ rings: UnsafeMutableRawPointer) {
  _ = unsafe KernelBox<Rings>(pointer: rings)
}

/// Under the outbound lock. 1: signal the host; 0: written; or a negative error number.
@c(rings_write)
public func ringsWrite(_ rings: UnsafeMutableRawPointer, _ packet: UnsafePointer<vb_packet>) -> Int32 {
  let packet = unsafe packet.pointee
  let descriptor = unsafe UnsafeRawBufferPointer(start: packet.descriptor, count: Int(packet.descriptor_bytes))
  let payload = unsafe UnsafeRawBufferPointer(start: packet.payload, count: Int(packet.payload_bytes))
  do throws(RingError) {
    try unsafe rings.rings.pointee.writer.write(
      type: PacketType(rawValue: packet.type), completionRequested: packet.completion_requested != 0,
      transactionID: packet.transaction, descriptorTail: descriptor.bytes, payload: payload.bytes)
    return unsafe rings.rings.pointee.writer.commit() ? 1 : 0
  } catch {
    return error.errorNumber
  }
}

/// Copies the next packet into a buffer of the channel's reader. 1: there was one; 0: none; or a negative error number.
/// -ENOBUFS: it is larger than the buffer, `received.bytes` says how large, and it is still there.
@c(rings_read)
public func ringsRead(
  _ rings: UnsafeMutableRawPointer, _ buffer: UnsafeMutableRawPointer, _ count: UInt32,
  _ received: UnsafeMutablePointer<vb_received>
) -> Int32 {
  let target = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: Int(count))
  do throws(RingError) {
    guard let packet = try unsafe rings.rings.pointee.reader.next(into: target) else { return 0 }
    unsafe rings.rings.pointee.last = packet
    unsafe received.pointee.transaction = packet.transactionID
    unsafe received.pointee.payload_offset = UInt32(truncatingIfNeeded: packet.payloadOffset)
    unsafe received.pointee.bytes = UInt32(truncatingIfNeeded: packet.byteCount)
    return 1
  } catch {
    if case .tooLarge(let needed) = error { unsafe received.pointee.bytes = UInt32(truncatingIfNeeded: needed) }
    return error.errorNumber
  }
}

/// Gives the space of what was read back; with `hold`, not that of the last packet, which is read again. 1: signal the
/// host, which waits for space.
@c(rings_commit)
public func ringsCommit(_ rings: UnsafeMutableRawPointer, _ hold: UInt32) -> Int32 {
  if hold != 0, let last = unsafe rings.rings.pointee.last { unsafe rings.rings.pointee.reader.putBack(last) }
  unsafe rings.rings.pointee.last = nil
  return unsafe rings.rings.pointee.reader.commit() ? 1 : 0
}

// SPDX-License-Identifier: Apache-2.0

import CStorage
import KernelChannel
import ServiceClients
import VMBus

/// A queue of requests: one channel with its rings and the requests that the host has of it. Lies in memory that the
/// glue allocated; everything but the reader is used under the channel's lock, and so is the reader here.
@safe struct Lane: ~Copyable {
  var rings: ChannelRings
  var queue: StorageQueue
  let channel: ChannelHandle
  let client: UnsafeMutablePointer<StorageClient>
  let descriptor: UnsafeMutablePointer<UInt64>
  let inbox: UnsafeMutableRawPointer

  /// Nothing that a host has to say is longer: 16 bytes and 64.
  static var inboxBytes: Int { 256 }

  /// Where the parts begin in the one block of memory.
  static var inboxOffset: Int { (MemoryLayout<Lane>.stride &+ 15) & ~15 }
  static var tableOffset: Int { inboxOffset &+ inboxBytes }
  static func byteCount(slots: Int) -> Int { tableOffset &+ StorageQueue.tableBytes(capacity: slots) }

  init(
    rings: consuming ChannelRings, memory: UnsafeMutableRawPointer, slots: Int, channel: ChannelHandle,
    client: UnsafeMutablePointer<StorageClient>, descriptor: UnsafeMutablePointer<UInt64>
  ) {
    self.rings = rings
    self.channel = channel
    unsafe self.client = unsafe client
    unsafe self.descriptor = unsafe descriptor
    unsafe inbox = unsafe memory + Self.inboxOffset
    queue = unsafe StorageQueue(
      version: client.pointee.version, table: memory + Self.tableOffset, capacity: slots)
  }

  /// Puts a control packet into the ring, which has room for it: few are ever outstanding.
  mutating func send(_ packet: borrowing StoragePacket) -> Bool {
    do throws(RingError) {
      try rings.writer.write(
        type: .inBand, completionRequested: true, transactionID: packet.transactionID, payload: packet.bytes)
      return true
    } catch {
      return false
    }
  }

  /// Puts a request into the ring; with data the page numbers lie in `descriptor` from its third word on.
  mutating func send(
    _ packet: borrowing StoragePacket, byteCount: UInt32, offset: UInt32, frames: UInt32
  ) throws(RingError) {
    if frames == 0 {
      try rings.writer.write(
        type: .inBand, completionRequested: true, transactionID: packet.transactionID, payload: packet.bytes)
      return
    }
    let tail = 16 &+ Int(frames) &* 8
    // Reserved u32 and range count u32, then the range's byte count u32 and offset u32, then the pages.
    unsafe descriptor[0] = 1 &<< 32
    unsafe descriptor[1] = UInt64(byteCount) | UInt64(offset) &<< 32
    try rings.writer.write(
      type: .gpaDirect, completionRequested: true, transactionID: packet.transactionID,
      descriptorTail: unsafe RawSpan(_unsafeStart: descriptor, byteCount: tail), payload: packet.bytes)
  }
}

extension UnsafeMutableRawPointer {
  var lane: UnsafeMutablePointer<Lane> { unsafe assumingMemoryBound(to: Lane.self) }
}

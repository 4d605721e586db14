// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import VMBus

@c(check_storage_size)
public func checkStorageSize() -> Int { StorageQueue.tableBytes(capacity: 256) }

@c(check_storage_start)
public func checkStorageStart(
  _ queue: UnsafeMutableRawPointer, _ client: UnsafeMutableRawPointer, _ table: UnsafeMutableRawPointer
) {
  unsafe queue.assumingMemoryBound(to: StorageQueue.self).initialize(
    to: StorageQueue(version: .v6_2, table: table, capacity: 256))
  unsafe client.assumingMemoryBound(to: StorageClient.self).initialize(to: StorageClient(wantedSubChannels: 3))
}

/// One answer through queue and client, and one read.
@c(check_storage_walk)
public func checkStorageWalk(
  _ queue: UnsafeMutableRawPointer, _ client: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: Int
) -> Int32 {
  let queue = unsafe queue.assumingMemoryBound(to: StorageQueue.self)
  let client = unsafe client.assumingMemoryBound(to: StorageClient.self)
  let span = unsafe RawSpan(_unsafeStart: bytes, byteCount: count)
  do throws(StorageClientFault) {
    var sent = unsafe client.pointee.channelOpened()
    unsafe queue.pointee.channelOpened(version: client.pointee.version)
    let packet = Packet(
      type: .completion, completionRequested: false, transactionID: sent.transactionID, payloadOffset: 16,
      byteCount: count)
    if case .control = unsafe try queue.pointee.receive(packet, in: span) {
      let payload = span.extracting(droppingFirst: 16)
      _ = unsafe try client.pointee.receive(payload, transactionID: packet.transactionID)
    }
    var block = SCSICommandBlock(.read10, byteCount: 10)
    block.set(0x1234 as UInt32, at: 2)
    block.set(8 as UInt16, at: 7)
    sent = unsafe try queue.pointee.begin(StorageCommand(unit: 0, block, direction: .read, byteCount: 4096))
    unsafe queue.pointee.cancel(sent)
    return unsafe queue.pointee.abandon() == nil ? 0 : 1
  } catch {
    return -22
  }
}

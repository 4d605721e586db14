// SPDX-License-Identifier: Apache-2.0

import CKernel
import CNetvsc
import DeviceProtocols
import ServiceClients
import VMBus

/// One channel, in one block of memory: this, the two ways, their tables.
@safe struct Machine {
  let receiver: UnsafeMutablePointer<Receiver>
  let transmitter: UnsafeMutablePointer<Transmitter>
  let lock: OpaquePointer
}

private let noMemory: Int32 = -12
private let inputOutput: Int32 = -5
private let invalid: Int32 = -22

/// A negative errno. (An enumeration would bring hashing along, and that random numbers.)
struct Failure: Error {
  let errno: Int32
}

private func aligned(_ count: Int) -> Int { (count &+ 63) & ~63 }

private func reader(_ rings: UnsafePointer<nv_rings>) throws(Failure) -> RingReader<LinearRingStorage> {
  guard let base = unsafe rings.pointee.in else { throw Failure(errno: inputOutput) }
  do throws(RingError) {
    return try unsafe RingReader(
      control: RingControl(page: base),
      storage: LinearRingStorage(base: base + RingControl.byteCount, byteCount: rings.pointee.in_bytes))
  } catch {
    throw Failure(errno: inputOutput)
  }
}

private func writer(_ rings: UnsafePointer<nv_rings>) throws(Failure) -> RingWriter<LinearRingStorage> {
  guard let base = unsafe rings.pointee.out else { throw Failure(errno: inputOutput) }
  do throws(RingError) {
    return try unsafe RingWriter(
      control: RingControl(page: base),
      storage: LinearRingStorage(base: base + RingControl.byteCount, byteCount: rings.pointee.out_bytes))
  } catch {
    throw Failure(errno: inputOutput)
  }
}

private func makeMachine(
  _ adapter: UnsafeMutablePointer<Adapter>, _ queue: OpaquePointer, _ rings: UnsafePointer<nv_rings>, _ index: UInt32,
  _ layout: NetworkQueue.Layout
) throws(Failure) -> UnsafeMutablePointer<Machine> {
  let reader = try unsafe reader(rings)
  let writer = try unsafe writer(rings)
  let capacity = Transmitter.capacity
  let receiverAt = aligned(MemoryLayout<Machine>.stride)
  let transmitterAt = receiverAt &+ aligned(MemoryLayout<Receiver>.stride)
  let framesAt = transmitterAt &+ aligned(MemoryLayout<Transmitter>.stride)
  let messagesAt = framesAt &+ aligned(NetworkQueue.tableBytes(capacity: capacity, sections: capacity))
  let sendAt = messagesAt &+ aligned(NetworkQueue.tableBytes(capacity: 1, sections: 0))
  let receiveAt = sendAt &+ aligned(Transmitter.tailBytes &+ Transmitter.rangeBytes)
  guard let base = unsafe ks_virtual_allocate(receiveAt &+ Receiver.memoryBytes) else { throw Failure(errno: noMemory) }
  guard let lock = unsafe ks_lock_make() else {
    unsafe ks_virtual_free(base)
    throw Failure(errno: noMemory)
  }
  let transmitter = unsafe (base + transmitterAt).bindMemory(to: Transmitter.self, capacity: 1)
  unsafe transmitter.initialize(
    to: Transmitter(
      queue, lock: lock, sendBuffer: adapter.pointee.sendBuffer, writer: writer,
      frames: NetworkQueue(layout, table: base + framesAt, capacity: capacity, sections: capacity),
      memory: base + sendAt))
  let receiver = unsafe (base + receiverAt).bindMemory(to: Receiver.self, capacity: 1)
  unsafe receiver.initialize(
    to: Receiver(
      queue, index: index, adapter: adapter, transmitter: transmitter, reader: reader,
      messages: NetworkQueue(layout, table: base + messagesAt, capacity: 1, sections: 0), memory: base + receiveAt))
  let machine = unsafe base.bindMemory(to: Machine.self, capacity: 1)
  unsafe machine.initialize(to: Machine(receiver: receiver, transmitter: transmitter, lock: lock))
  return unsafe machine
}

@c(netvsc_start)
public func netvscStart(_ start: UnsafeMutablePointer<nv_start>) -> Int32 {
  let client: NetworkClient
  do throws(WireError) {
    let key = try unsafe ToeplitzKey(decoding: RawSpan(_unsafeStart: start.pointee.key, byteCount: 40))
    client = unsafe NetworkClient(
      mtu: start.pointee.mtu, wantedSubChannels: start.pointee.sub_channels,
      wantsCoalescing: start.pointee.coalescing != 0, key: key)
  } catch {
    return invalid
  }
  guard let memory = unsafe ks_virtual_allocate(MemoryLayout<Adapter>.stride) else { return noMemory }
  guard let lock = unsafe ks_lock_make() else {
    unsafe ks_virtual_free(memory)
    return noMemory
  }
  let adapter = unsafe memory.bindMemory(to: Adapter.self, capacity: 1)
  unsafe adapter.initialize(to: Adapter(start, client, lock: lock))
  let machine: UnsafeMutablePointer<Machine>
  do throws(Failure) {
    let layout = unsafe NetworkQueue.Layout(adapter.pointee.client, channel: 0, of: 1)
    unsafe machine = try makeMachine(adapter, start.pointee.queue, &start.pointee.rings, 0, layout)
  } catch {
    unsafe netvscEnd(memory)
    return error.errno
  }
  unsafe adapter.pointee.primary = machine.pointee.transmitter
  unsafe start.pointee.adapter = memory
  unsafe start.pointee.machine = UnsafeMutableRawPointer(machine)
  // What the host answers comes by the poll, which finds the machine there.
  unsafe ks_lock_take(adapter.pointee.lock)
  unsafe adapter.pointee.client.channelOpened(
    NetworkClient.Buffers(
      receive: GPADLID(start.pointee.receive_gpadl), receiveByteCount: start.pointee.receive_bytes,
      send: GPADLID(start.pointee.send_gpadl), sendByteCount: start.pointee.send_bytes))
  unsafe ks_lock_give(adapter.pointee.lock)
  return 0
}

/// The channels are closed, their machines gone.
@c(netvsc_end)
public func netvscEnd(_ adapter: UnsafeMutableRawPointer) {
  unsafe adapter.assumingMemoryBound(to: Adapter.self).deinitialize(count: 1)
  unsafe ks_virtual_free(adapter)
}

@c(netvsc_share)
public func netvscShare(
  _ adapter: UnsafeMutableRawPointer, _ machine: UnsafeMutableRawPointer, _ channels: UInt32
) -> Int32 {
  let adapter = unsafe adapter.assumingMemoryBound(to: Adapter.self)
  let transmitter = unsafe machine.assumingMemoryBound(to: Machine.self).pointee.transmitter
  let layout = unsafe NetworkQueue.Layout(adapter.pointee.client, channel: 0, of: channels)
  // Without sections nothing could be sent, and nobody would ever be woken.
  guard layout.sendSections > 0 else { return invalid }
  unsafe ks_lock_take(transmitter.pointee.lock)
  var result: Int32 = 0
  do throws(NetworkClientFault) {
    try unsafe transmitter.pointee.frames.clientReady(layout)
  } catch {
    result = invalid
  }
  unsafe ks_lock_give(transmitter.pointee.lock)
  return result
}

@c(netvsc_add_queue)
public func netvscAddQueue(
  _ adapter: UnsafeMutableRawPointer, _ queue: OpaquePointer, _ rings: UnsafePointer<nv_rings>, _ index: UInt32
) -> UnsafeMutableRawPointer? {
  let adapter = unsafe adapter.assumingMemoryBound(to: Adapter.self)
  guard unsafe adapter.pointee.client.accepts(subChannel: UInt16(truncatingIfNeeded: index)) else { return nil }
  let channels = unsafe UInt32(adapter.pointee.client.subChannels) &+ 1
  let layout = unsafe NetworkQueue.Layout(adapter.pointee.client, channel: index, of: channels)
  guard layout.sendSections > 0 else { return nil }
  do throws(Failure) {
    return unsafe UnsafeMutableRawPointer(try makeMachine(adapter, queue, rings, index, layout))
  } catch {
    return nil
  }
}

@c(netvsc_remove_queue)
public func netvscRemoveQueue(_ machine: UnsafeMutableRawPointer) {
  let parts = unsafe machine.assumingMemoryBound(to: Machine.self).pointee
  unsafe parts.transmitter.pointee.abandon()
  unsafe parts.receiver.deinitialize(count: 1)
  unsafe parts.transmitter.deinitialize(count: 1)
  unsafe ks_lock_free(parts.lock)
  unsafe ks_virtual_free(machine)
}

@c(netvsc_poll)
public func netvscPoll(_ machine: UnsafeMutableRawPointer, _ budget: Int32) -> Int32 {
  unsafe machine.assumingMemoryBound(to: Machine.self).pointee.receiver.pointee.poll(Int(budget))
}

@c(netvsc_send)
public func netvscSend(_ machine: UnsafeMutableRawPointer, _ send: UnsafePointer<nv_send>) -> Int32 {
  let parts = unsafe machine.assumingMemoryBound(to: Machine.self).pointee
  unsafe ks_lock_take(parts.lock)
  let sent = unsafe parts.transmitter.pointee.send(send)
  unsafe ks_lock_give(parts.lock)
  return Int32(truncatingIfNeeded: sent)
}

@c(netvsc_flush)
public func netvscFlush(_ machine: UnsafeMutableRawPointer) {
  let parts = unsafe machine.assumingMemoryBound(to: Machine.self).pointee
  unsafe ks_lock_take(parts.lock)
  unsafe parts.transmitter.pointee.finish()
  unsafe ks_lock_give(parts.lock)
}

@c(netvsc_outstanding)
public func netvscOutstanding(_ machine: UnsafeMutableRawPointer) -> Int32 {
  let parts = unsafe machine.assumingMemoryBound(to: Machine.self).pointee
  unsafe ks_lock_take(parts.lock)
  let count = unsafe parts.transmitter.pointee.frames.outstanding
  unsafe ks_lock_give(parts.lock)
  return Int32(truncatingIfNeeded: count)
}

@c(netvsc_ask)
public func netvscAsk(
  _ adapter: UnsafeMutableRawPointer, _ request: UInt32, _ ask: UnsafePointer<nv_ask>
) -> Int32 {
  let adapter = unsafe adapter.assumingMemoryBound(to: Adapter.self)
  unsafe ks_lock_take(adapter.pointee.lock)
  let result = unsafe adapter.pointee.ask(Int(request), ask)
  unsafe adapter.pointee.pump()
  unsafe ks_lock_give(adapter.pointee.lock)
  return result
}

extension Adapter {
  mutating func ask(_ request: Int, _ ask: UnsafePointer<nv_ask>) -> Int32 {
    do throws(NetworkClientFault) {
      switch request {
      case NV_BEGIN: break
      case NV_SET_FILTER:
        try unsafe client.setFilter(NetworkPacketFilter(rawValue: UInt32(truncatingIfNeeded: ask.pointee.value)))
      case NV_SET_SCALING:
        let key: ToeplitzKey
        do throws(WireError) {
          key = try unsafe ToeplitzKey(decoding: RawSpan(_unsafeStart: ask.pointee.key, byteCount: 40))
        } catch {
          return invalid
        }
        try unsafe client.setScaling(
          table: RawSpan(_unsafeStart: UnsafeRawPointer(ask.pointee.table), byteCount: 4 &* NV_TABLE),
          key: key)
      case NV_SET_COALESCING: try unsafe client.setCoalescing(ask.pointee.value != 0)
      case NV_SET_ADDRESS: try unsafe client.setAddress(EthernetAddress(rawValue: ask.pointee.value))
      case NV_HALT: try client.halt()
      default: return invalid
      }
    } catch {
      return error == .wrongState ? inputOutput : invalid
    }
    return 0
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import VMBus

/// A receive buffer at an address.
@safe struct CheckBuffer: NetworkReceiveBuffer {
  let base: UnsafeRawPointer

  func copy(at offset: UInt32, into bytes: inout MutableRawSpan) {
    let count = bytes.byteCount
    unsafe bytes.withUnsafeMutableBytes { target in
      if let to = target.baseAddress { unsafe to.copyMemory(from: base + Int(offset), byteCount: count) }
    }
  }
}

@c(check_network_open)
public func checkNetworkOpen(_ memory: UnsafeMutableRawPointer, _ key: UnsafeRawPointer) -> Int32 {
  do throws(WireError) {
    let key = try unsafe ToeplitzKey(decoding: RawSpan(_unsafeStart: key, byteCount: 40))
    let client = unsafe memory.initializeMemory(
      as: NetworkClient.self, to: NetworkClient(wantedSubChannels: 3, key: key))
    unsafe client.pointee.channelOpened(
      NetworkClient.Buffers(
        receive: GPADLID(1), receiveByteCount: 16 << 20, send: GPADLID(2), sendByteCount: 1 << 20))
    return 0
  } catch {
    return -22
  }
}

@c(check_network_control)
public func checkNetworkControl(
  _ memory: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: Int, _ page: UnsafeMutableRawPointer
) -> Int {
  let client = unsafe memory.assumingMemoryBound(to: NetworkClient.self)
  do throws(NetworkClientFault) {
    let payload = unsafe RawSpan(_unsafeStart: bytes, byteCount: count)
    _ = try unsafe client.pointee.receive(completion: payload, transactionID: 1 << 48)
    _ = try unsafe client.pointee.receive(control: payload)
    _ = try unsafe client.pointee.receive(notice: payload)
    try unsafe client.pointee.setFilter(.directed)
  } catch {
    return -22
  }
  let buffer = unsafe UnsafeMutableRawBufferPointer(start: page, count: 4096)
  var span = unsafe buffer.mutableBytes
  guard let packet = unsafe client.pointee.nextPacket(page: &span) else { return 0 }
  return packet.bytes.byteCount &+ packet.controlByteCount
}

@c(check_network_queue)
public func checkNetworkQueue(
  _ memory: UnsafeMutableRawPointer, _ client: UnsafeRawPointer, _ table: UnsafeMutableRawPointer
) {
  let client = unsafe client.assumingMemoryBound(to: NetworkClient.self)
  let layout = unsafe NetworkQueue.Layout(client.pointee, channel: 0, of: 1)
  unsafe memory.assumingMemoryBound(to: NetworkQueue.self).initialize(
    to: NetworkQueue(layout, table: table, capacity: 256, sections: 170))
}

@c(check_network_send)
public func checkNetworkSend(_ memory: UnsafeMutableRawPointer, _ count: Int, _ header: UnsafeMutableRawPointer) -> Int
{
  let queue = unsafe memory.assumingMemoryBound(to: NetworkQueue.self)
  let buffer = unsafe UnsafeMutableRawBufferPointer(start: header, count: 128)
  var span = unsafe buffer.mutableBytes
  var information = PacketInformation()
  information.largeSend = LargeSend(segmentSize: 1448, transportOffset: 34, isIPv6: false)
  let send = NetworkSend(byteCount: count, information: information, context: 7)
  do throws(NetworkClientFault) {
    var packet = try unsafe queue.pointee.begin(send, .section, header: &span)
    _ = try unsafe queue.pointee.append(send, to: &packet, header: &span)
    return packet.headerByteCount
  } catch {
    return -22
  }
}

@c(check_network_receive)
public func checkNetworkReceive(
  _ memory: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: Int, _ base: UnsafeRawPointer
) -> Int {
  let queue = unsafe memory.assumingMemoryBound(to: NetworkQueue.self)
  let span = unsafe RawSpan(_unsafeStart: bytes, byteCount: count)
  let packet = Packet(
    type: .transferPages, completionRequested: true, transactionID: 1, payloadOffset: 24, byteCount: count)
  do throws(NetworkClientFault) {
    guard case .messages(var inbound) = try unsafe queue.pointee.receive(packet, in: span) else { return 0 }
    let buffer = unsafe CheckBuffer(base: base)
    var total = 0
    while let message = unsafe queue.pointee.nextMessage(of: &inbound, in: span, buffer: buffer) {
      if case .frame(let frame) = message { total = total &+ frame.byteCount }
    }
    return total &+ NetworkReceiveCompletion(inbound.status).bytes.byteCount
  } catch {
    return -22
  }
}

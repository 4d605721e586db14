// SPDX-License-Identifier: Apache-2.0

import CKernel
import CNetvsc
import DeviceProtocols
import ServiceClients
import VMBus

/// One channel's way from the host. Used by the poll only, which is on one processor at a time.
@safe struct Receiver: ~Copyable {
  /// An answer that the host waits for.
  struct Answer {
    var transactionID: UInt64 = 0
    var status = NVSPStatus.success
  }

  /// Where the bytes of a frame lie in the receive buffer.
  struct Part {
    var offset: UInt32 = 0
    var byteCount: UInt32 = 0
  }

  let queue: OpaquePointer
  let index: UInt32
  let counters: UnsafeMutablePointer<nv_counters>
  let adapter: UnsafeMutablePointer<Adapter>
  let transmitter: UnsafeMutablePointer<Transmitter>
  private let lock: OpaquePointer
  private let buffer: ReceiveBuffer
  private var reader: RingReader<LinearRingStorage>
  private var messages: NetworkQueue
  private let packet: UnsafeMutableRawBufferPointer
  private let control: UnsafeMutableRawPointer
  private let answers: UnsafeMutablePointer<Answer>
  private var answerCount = 0
  private let parts: UnsafeMutablePointer<Part>
  private var partCount = 0
  private var partBytes = 0
  private var first: NetworkReceived?
  private var hasSections = false
  private var isBroken = false

  /// The longest packet of a host has less than 600 ranges.
  static var packetBytes: Int { 8192 }
  static var controlBytes: Int { 1024 }
  static var answerCapacity: Int { 256 }
  static var partCapacity: Int { 600 }
  /// A frame of the largest kind, and a tag.
  private static var longestFrame: Int { 65536 &+ 64 }

  static var memoryBytes: Int {
    packetBytes &+ controlBytes &+ answerCapacity &* MemoryLayout<Answer>.stride
      &+ partCapacity &* MemoryLayout<Part>.stride
  }

  init(
    _ queue: OpaquePointer, index: UInt32, adapter: UnsafeMutablePointer<Adapter>,
    transmitter: UnsafeMutablePointer<Transmitter>, reader: consuming RingReader<LinearRingStorage>,
    messages: consuming NetworkQueue, memory: UnsafeMutableRawPointer
  ) {
    unsafe self.queue = queue
    self.index = index
    unsafe counters = nv_counters(queue)
    unsafe self.adapter = adapter
    unsafe self.transmitter = transmitter
    unsafe lock = transmitter.pointee.lock
    buffer = unsafe adapter.pointee.receiveBuffer
    self.reader = reader
    self.messages = messages
    unsafe packet = UnsafeMutableRawBufferPointer(start: memory, count: Self.packetBytes)
    unsafe control = memory + Self.packetBytes
    let answers = unsafe memory + (Self.packetBytes &+ Self.controlBytes)
    unsafe self.answers = answers.initializeMemory(as: Answer.self, repeating: Answer(), count: Self.answerCapacity)
    let parts = unsafe answers + (Self.answerCapacity &* MemoryLayout<Answer>.stride)
    unsafe self.parts = parts.initializeMemory(as: Part.self, repeating: Part(), count: Self.partCapacity)
    hasSections = index > 0
  }

  // MARK: The poll

  /// Takes packets until `budget` frames and packets are done, or no answer can be kept any more.
  mutating func poll(_ budget: Int) -> Int32 {
    unsafe counters.pointee.polls &+= 1
    if isBroken { return 0 }
    var done = 0
    do throws(RingError) {
      while done < budget, hasPlace(), let next = try unsafe reader.next(into: packet) {
        done &+= take(next)
      }
    } catch {
      isBroken = true
      let text: StaticString = "the host broke the ring that it writes"
      unsafe nv_broken(queue, text.utf8Start, text.utf8CodeUnitCount)
      return 0
    }
    if reader.commit() { unsafe nv_signal(queue) }
    flush()
    let count = Int32(truncatingIfNeeded: done < budget ? done : budget)
    return answerCount < Self.answerCapacity ? count : count | Int32(NV_POLL_BLOCKED)
  }

  private mutating func hasPlace() -> Bool {
    if answerCount < Self.answerCapacity { return true }
    flush()
    return answerCount < Self.answerCapacity
  }

  /// Sends the answers that are due, and lets the stack go on when there is room.
  private mutating func flush() {
    unsafe ks_lock_take(lock)
    var sent = 0
    while sent < answerCount, unsafe transmitter.pointee.answer(answers[sent].transactionID, answers[sent].status) {
      sent &+= 1
    }
    unsafe transmitter.pointee.publish()
    unsafe transmitter.pointee.wake()
    unsafe ks_lock_give(lock)
    answerCount &-= sent
    if sent > 0, answerCount > 0 {
      for index in 0..<answerCount { unsafe answers[index] = answers[index &+ sent] }
    }
    if index == 0 { resume() }
  }

  /// A message of the client's may have waited for room.
  private func resume() {
    unsafe ks_lock_take(adapter.pointee.lock)
    unsafe adapter.pointee.pump()
    unsafe ks_lock_give(adapter.pointee.lock)
  }

  /// What it counts.
  private mutating func take(_ packet: Packet) -> Int {
    let bytes = unsafe RawSpan(_unsafeBytes: self.packet).extracting(first: packet.byteCount)
    do throws(NetworkClientFault) {
      let inbound =
        packet.type == .completion
        ? unsafe try transmitter.pointee.receive(packet, in: bytes) : try messages.receive(packet, in: bytes)
      switch inbound {
      case .sent(let sent): unsafe transmitter.pointee.release(sent)
      case .messages(let inbound): return take(inbound, packet, bytes)
      case .completion:
        guard index == 0 else { throw .notOutstanding }
        let payload = bytes.extracting(droppingFirst: packet.payloadOffset)
        unsafe ks_lock_take(adapter.pointee.lock)
        unsafe adapter.pointee.receive(completion: payload, transactionID: packet.transactionID)
        divide()
        unsafe ks_lock_give(adapter.pointee.lock)
      case .notice:
        guard index == 0 else { throw .malformed }
        let payload = bytes.extracting(droppingFirst: packet.payloadOffset)
        unsafe ks_lock_take(adapter.pointee.lock)
        unsafe adapter.pointee.receive(notice: payload)
        unsafe ks_lock_give(adapter.pointee.lock)
      }
    } catch {
      fault()
    }
    return 1
  }

  /// The receive buffer was divided: from now on messages can lie in it.
  private mutating func divide() {
    guard !hasSections, unsafe adapter.pointee.client.receiveSection.count > 0 else { return }
    do throws(NetworkClientFault) {
      try unsafe messages.clientReady(NetworkQueue.Layout(adapter.pointee.client, channel: 0, of: 1))
      hasSections = true
    } catch {
      fault()
    }
  }

  private func fault() { unsafe counters.pointee.rx_faults &+= 1 }

  // MARK: Messages

  private mutating func take(_ packetMessages: NetworkInbound, _ packet: Packet, _ bytes: RawSpan) -> Int {
    var inbound = packetMessages
    var count = 0
    while let message = messages.nextMessage(of: &inbound, in: bytes, buffer: buffer) {
      count &+= 1
      switch message {
      case .control(let offset, let byteCount): take(offset, byteCount)
      case .frame(let frame): take(frame)
      }
    }
    if inbound.status != .success { fault() }
    if inbound.wantsCompletion {
      unsafe answers[answerCount] = Answer(transactionID: inbound.transactionID, status: inbound.status)
      answerCount &+= 1
    }
    return count > 0 ? count : 1
  }

  private mutating func take(_ offset: UInt32, _ byteCount: Int) {
    guard index == 0, byteCount <= Self.controlBytes else { return fault() }
    let copy = unsafe UnsafeMutableRawBufferPointer(start: control, count: byteCount)
    var span = unsafe copy.mutableBytes
    buffer.copy(at: offset, into: &span)
    unsafe ks_lock_take(adapter.pointee.lock)
    unsafe adapter.pointee.receive(control: RawSpan(_unsafeBytes: copy))
    unsafe ks_lock_give(adapter.pointee.lock)
  }

  private mutating func take(_ frame: NetworkReceived) {
    if frame.isFirst {
      partCount = 0
      partBytes = 0
      first = frame
    }
    guard partCount < Self.partCapacity, partBytes &+ frame.byteCount <= Self.longestFrame else {
      first = nil
      return fault()
    }
    unsafe parts[partCount] = Part(offset: frame.offset, byteCount: UInt32(truncatingIfNeeded: frame.byteCount))
    partCount &+= 1
    partBytes &+= frame.byteCount
    guard frame.isLast, let first else { return }
    self.first = nil
    deliver(first)
  }

  private func deliver(_ first: NetworkReceived) {
    var received = unsafe nv_received()
    unsafe received.bytes = UInt32(truncatingIfNeeded: partBytes)
    guard partBytes >= NetworkAdapter.frameHeaderSize else { return fault() }
    var data: UnsafeMutableRawPointer?
    guard let skb = unsafe nv_skb_make(queue, UInt32(truncatingIfNeeded: partBytes), &data) else {
      unsafe counters.pointee.rx_no_memory &+= 1
      return
    }
    var at: UInt32 = 0
    for index in 0..<partCount {
      let part = unsafe parts[index]
      let from = unsafe buffer.base + Int(part.offset)
      if let data = unsafe data {
        unsafe (data + Int(at)).copyMemory(from: from, byteCount: Int(part.byteCount))
      } else {
        unsafe nv_skb_store(skb, at, from, part.byteCount)
      }
      at &+= part.byteCount
    }
    unsafe received.skb = skb
    unsafe received.checksum_good = first.isChecksumGood ? 1 : 0
    unsafe received.coalesced = partCount > 1 ? 1 : 0
    if let hash = first.information.hash {
      unsafe received.has_hash = 1
      unsafe received.hash = hash
    }
    if let vlan = first.information.vlan {
      unsafe received.has_tag = 1
      unsafe received.tag = vlan.tag
    }
    unsafe counters.pointee.rx_packets &+= 1
    unsafe counters.pointee.rx_bytes &+= UInt64(partBytes)
    unsafe nv_skb_deliver(queue, &received)
  }
}

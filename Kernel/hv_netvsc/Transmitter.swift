// SPDX-License-Identifier: Apache-2.0

import CKernel
import CNetvsc
import DeviceProtocols
import ServiceClients
import VMBus

/// One channel's way to the host: frames, control messages, answers. Used under `lock`; the stack's processor and the
/// poll's may be different ones.
@safe struct Transmitter: ~Copyable {
  /// Packets of frames that the host may have at once.
  static var capacity: Int { 1024 }
  /// More than any packet of ours takes of the ring.
  private static var mostOfRing: UInt32 { 2048 }

  let queue: OpaquePointer
  let lock: OpaquePointer
  let counters: UnsafeMutablePointer<nv_counters>
  let sendBuffer: UnsafeMutableRawPointer
  var writer: RingWriter<LinearRingStorage>
  var frames: NetworkQueue
  /// Room for descriptor data: every range of a frame with its page numbers.
  private let tail: UnsafeMutableRawBufferPointer
  private let ranges: UnsafeMutablePointer<nv_range>
  /// Its frames are in its section, and it is not in the ring yet: more of them may join.
  private var open: NetworkSendPacket?
  private var isStopped = false
  private(set) var isBroken = false

  static var tailBytes: Int { 1024 }
  static var rangeBytes: Int { MemoryLayout<nv_range>.stride &* NV_RANGES }

  /// `memory`: `tailBytes` and `rangeBytes`.
  init(
    _ queue: OpaquePointer, lock: OpaquePointer, sendBuffer: UnsafeMutableRawPointer,
    writer: consuming RingWriter<LinearRingStorage>, frames: consuming NetworkQueue, memory: UnsafeMutableRawPointer
  ) {
    unsafe self.queue = queue
    unsafe self.lock = lock
    unsafe counters = nv_counters(queue)
    unsafe self.sendBuffer = sendBuffer
    self.writer = writer
    self.frames = frames
    unsafe tail = UnsafeMutableRawBufferPointer(start: memory, count: Self.tailBytes)
    unsafe ranges = (memory + Self.tailBytes).bindMemory(to: nv_range.self, capacity: NV_RANGES)
  }

  // MARK: The client's messages and the answers to the host's packets

  /// False: there is no room now; the host will say when there is.
  mutating func send(_ packet: NetworkClientPacket, page: UInt64) -> Bool {
    unsafe ks_lock_take(lock)
    let isSent = put(packet, page)
    publish()
    unsafe ks_lock_give(lock)
    return isSent
  }

  private mutating func put(_ packet: NetworkClientPacket, _ page: UInt64) -> Bool {
    let words: InlineArray<3, UInt64> = [1 &<< 32, UInt64(packet.controlByteCount), page]
    while !isBroken {
      do throws(RingError) {
        if packet.controlByteCount > 0 {
          try writer.write(
            type: .gpaDirect, completionRequested: true, transactionID: packet.transactionID,
            descriptorTail: unsafe words.span.bytes, payload: packet.bytes)
        } else {
          try writer.write(
            type: .inBand, completionRequested: packet.wantsCompletion, transactionID: packet.transactionID,
            payload: packet.bytes)
        }
        return true
      } catch {
        guard mayTryAgain(error) else { return false }
      }
    }
    return false
  }

  /// Answers one packet of the host's. The same.
  mutating func answer(_ transactionID: UInt64, _ status: NVSPStatus) -> Bool {
    let completion = NetworkReceiveCompletion(status)
    while !isBroken {
      do throws(RingError) {
        try writer.write(
          type: .completion, completionRequested: false, transactionID: transactionID, payload: completion.bytes)
        return true
      } catch {
        guard mayTryAgain(error) else { return false }
      }
    }
    // There is nobody to answer.
    return true
  }

  private mutating func mayTryAgain(_ error: RingError) -> Bool {
    guard case .full(let needed) = error else {
      breakDown("the host broke the ring that it reads")
      return false
    }
    publish()
    return writer.requestSpace(needed)
  }

  private mutating func breakDown(_ text: StaticString) {
    if isBroken { return }
    isBroken = true
    unsafe nv_broken(queue, text.utf8Start, text.utf8CodeUnitCount)
  }

  mutating func publish() {
    guard !isBroken, writer.commit() else { return }
    unsafe counters.pointee.signals &+= 1
    unsafe nv_signal(queue)
  }

  // MARK: Frames

  /// When more is to follow, the frame may wait for it in its section, and its packet in the ring.
  mutating func send(_ send: UnsafePointer<nv_send>) -> Int {
    if isBroken { return NV_TOO_BIG }
    let outcome = unsafe take(send)
    switch outcome {
    case NV_COPIED, NV_KEPT:
      unsafe counters.pointee.tx_packets &+= 1
      unsafe counters.pointee.tx_bytes &+= UInt64(send.pointee.bytes)
      if frames.freeSections == 0 || frames.outstanding == frames.capacity { stop() }
    case NV_BUSY: unsafe counters.pointee.tx_busy &+= 1
    default: break
    }
    if unsafe send.pointee.more == 0 || isStopped || outcome == NV_BUSY { finish() }
    return outcome
  }

  /// Nothing follows: what waited goes.
  mutating func finish() {
    _ = close()
    publish()
  }

  private mutating func take(_ send: UnsafePointer<nv_send>) -> Int {
    let bytes = unsafe Int(send.pointee.bytes)
    let information = unsafe Self.information(send)
    let headerSize = RNDISPacket.wireSize &+ information.byteCount
    let place: NetworkSendPlace =
      headerSize &+ bytes &+ Int(frames.layout.alignment) <= Int(frames.layout.sendSectionSize)
      ? .section : .headerInSection
    var header = InlineArray<16, UInt64>(repeating: 0)
    do throws(NetworkClientFault) {
      var span = header.mutableSpan
      var raw = unsafe span.mutableBytes
      if place == .section, var packet = open {
        let request = NetworkSend(byteCount: bytes, information: information, context: 0)
        if let at = try frames.append(request, to: &packet, header: &raw) {
          guard unsafe copy(send, header, into: packet, at: Int(at)) else { return NV_TOO_BIG }
          open = packet
          unsafe counters.pointee.tx_joined &+= 1
          return NV_COPIED
        }
      }
      // The frames of a channel keep their order.
      guard close() else { return isBroken ? NV_TOO_BIG : NV_BUSY }
      let context = unsafe place == .section ? 0 : UInt64(UInt(bitPattern: send.pointee.skb))
      let packet = try frames.begin(
        NetworkSend(byteCount: bytes, information: information, context: context), place, header: &raw)
      if place == .section {
        guard unsafe copy(send, header, into: packet, at: 0) else {
          frames.cancel(packet)
          return NV_TOO_BIG
        }
        open = packet
        return NV_COPIED
      }
      let outcome = unsafe sendRanges(send, header, packet)
      if outcome != NV_KEPT { frames.cancel(packet) }
      return outcome
    } catch {
      guard error == .full else { return NV_TOO_BIG }
      stop()
      return NV_BUSY
    }
  }

  /// Where a packet's section begins. Its number is one of those that the client counted in its buffer.
  private func section(of packet: NetworkSendPacket) -> UnsafeMutableRawPointer? {
    guard let section = packet.section else { return nil }
    return unsafe sendBuffer + Int(section) &* Int(frames.layout.sendSectionSize)
  }

  private func copy(
    _ header: InlineArray<16, UInt64>, _ count: Int, to place: UnsafeMutableRawPointer
  ) {
    unsafe header.span.bytes.withUnsafeBytes { source in
      if let from = source.baseAddress { unsafe place.copyMemory(from: from, byteCount: count) }
    }
  }

  /// Header and frame into the section, from `at` on.
  private func copy(
    _ send: UnsafePointer<nv_send>, _ header: InlineArray<16, UInt64>, into packet: NetworkSendPacket, at: Int
  ) -> Bool {
    guard let section = unsafe section(of: packet) else { return false }
    unsafe copy(header, packet.headerByteCount, to: section + at)
    let to = unsafe section + (at &+ packet.headerByteCount)
    guard unsafe nv_skb_copy(send.pointee.skb, to, send.pointee.bytes) == 0 else { return false }
    unsafe counters.pointee.tx_copied &+= 1
    return true
  }

  /// Puts the packet into the ring that more frames could have joined. False: it has to wait for room, and so has the
  /// stack.
  private mutating func close() -> Bool {
    guard let packet = open else { return true }
    while !isBroken {
      do throws(RingError) {
        try writer.write(
          type: .inBand, completionRequested: true, transactionID: packet.transactionID, payload: packet.bytes)
        open = nil
        return true
      } catch {
        guard mayTryAgain(error) else { break }
      }
    }
    if !isBroken { stop() }
    return false
  }

  private static func information(_ send: UnsafePointer<nv_send>) -> PacketInformation {
    var information = PacketInformation()
    let flags = unsafe Int(send.pointee.flags)
    let isIPv6 = flags & NV_IPV6 != 0
    let transport = unsafe Int(send.pointee.transport)
    if flags & NV_SEGMENTS != 0 {
      information.largeSend = unsafe LargeSend(
        segmentSize: Int(send.pointee.segment), transportOffset: transport, isIPv6: isIPv6)
    } else if flags & (NV_TCP | NV_UDP) != 0 {
      information.checksum =
        TransmitChecksum(
          isIPv6: isIPv6, tcp: flags & NV_TCP != 0, udp: flags & NV_UDP != 0,
          transportOffset: transport
        ).rawValue
    }
    if flags & NV_TAGGED != 0 { information.vlan = unsafe NetworkVLAN(tag: send.pointee.tag) }
    return information
  }

  private mutating func sendRanges(
    _ send: UnsafePointer<nv_send>, _ header: InlineArray<16, UInt64>, _ packet: NetworkSendPacket
  ) -> Int {
    guard let section = unsafe section(of: packet) else { return NV_TOO_BIG }
    unsafe copy(header, packet.headerByteCount, to: section)
    let count = unsafe Int(nv_skb_ranges(send.pointee.skb, ranges))
    guard count > 0 else { return NV_NO_MEMORY }
    do throws(WireError) {
      let size = try encode(count)
      do throws(RingError) {
        try writer.write(
          type: .gpaDirect, completionRequested: true, transactionID: packet.transactionID,
          descriptorTail: unsafe RawSpan(_unsafeBytes: tail).extracting(first: size), payload: packet.bytes)
      } catch {
        return noRoom(error)
      }
    } catch {
      return NV_TOO_BIG
    }
    unsafe counters.pointee.tx_ranges &+= 1
    if unsafe Int(send.pointee.flags) & NV_SEGMENTS != 0 { unsafe counters.pointee.tx_segmented &+= 1 }
    return NV_KEPT
  }

  /// Each range with the numbers of all its pages.
  private func encode(_ count: Int) throws(WireError) -> Int {
    var bytes = unsafe tail.mutableBytes
    var at = try DescriptorTail.beginGPADirect(rangeCount: UInt32(truncatingIfNeeded: count), into: &bytes)
    for index in 0..<count {
      let range = unsafe ranges[index]
      at = try DescriptorTail.range(byteCount: range.bytes, byteOffset: range.offset, at: at, into: &bytes)
      var left = Int(range.offset) &+ Int(range.bytes)
      var frame = range.frame
      while left > 0 {
        at = try DescriptorTail.pageFrame(frame, at: at, into: &bytes)
        frame &+= 1
        left &-= 4096
      }
    }
    return at
  }

  private mutating func noRoom(_ error: RingError) -> Int {
    switch error {
    case .full(let needed):
      // Woken by the host when there is, if there is not by now.
      publish()
      if !writer.requestSpace(needed) { stop() }
      return NV_BUSY
    case .tooLarge: return NV_TOO_BIG
    case .corrupt:
      breakDown("the host broke the ring that it reads")
      return NV_TOO_BIG
    }
  }

  private mutating func stop() {
    if isStopped { return }
    isStopped = true
    unsafe counters.pointee.stop_queue &+= 1
    unsafe nv_stop(queue)
  }

  /// When something has come from the host: whether the stack may send again.
  mutating func wake() {
    guard isStopped, !isBroken else { return }
    let enough = frames.layout.sendSections < 8 ? Int(frames.layout.sendSections) / 2 : 4
    guard frames.freeSections > 0, frames.freeSections >= enough, frames.outstanding <= frames.capacity / 2,
      writer.requestSpace(Self.mostOfRing), close()
    else { return }
    publish()
    isStopped = false
    unsafe counters.pointee.wake_queue &+= 1
    unsafe nv_wake(queue)
  }

  /// A completion of the host's that is no message of the client's. What it ended.
  mutating func receive(_ packet: Packet, in bytes: RawSpan) throws(NetworkClientFault) -> NetworkQueue.Inbound {
    unsafe ks_lock_take(lock)
    do throws(NetworkClientFault) {
      let inbound = try frames.receive(packet, in: bytes)
      unsafe ks_lock_give(lock)
      return inbound
    } catch {
      unsafe ks_lock_give(lock)
      throw error
    }
  }

  /// The channel is closed: what the host had comes back.
  mutating func abandon() {
    open = nil
    while let sent = frames.abandon() { release(sent) }
  }

  func release(_ sent: NetworkQueue.Sent) {
    if !sent.isGood { unsafe counters.pointee.tx_failed &+= 1 }
    if let skb = unsafe UnsafeMutableRawPointer(bitPattern: UInt(sent.context)) { unsafe nv_skb_sent(queue, skb) }
  }
}

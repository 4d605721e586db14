// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Glibc
import ServiceClients
import ServiceProviders
import Synchronization
import VMBus
import VirtualSwitch

/// Both ends of one channel of an adapter. Everything but the lane is used by one thread.
@safe final class BenchChannel: @unchecked Sendable {
  /// What those that bring frames share with the channel's thread.
  struct Lane: ~Copyable {
    var channel: NetworkChannel
    var writer: RingWriter<LinearRingStorage>
  }

  static let ringBytes: UInt32 = 256 << 10
  private static let rooms = 64
  private static let roomPages = 18

  let index: UInt16
  let memory: BenchMemory
  let lane: Mutex<Lane>
  private let toHost = BenchRing(byteCount: ringBytes)
  private let toGuest = BenchRing(byteCount: ringBytes)
  // The host's thread.
  private var hostReader: RingReader<LinearRingStorage>
  private let hostBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 16)
  private var frame = TransmitFrame()
  private let pieces = UnsafeMutableBufferPointer<iovec>.allocate(capacity: 64)
  // The guest's.
  private var reader: RingReader<LinearRingStorage>
  private var writer: RingWriter<LinearRingStorage>
  private let guestBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 16)
  private var queue: NetworkQueue?
  private var table: UnsafeMutableRawPointer?
  /// Where frames lie that are to be sent: first frame numbers.
  private let places: [UInt64]
  private var free: [Int]
  private let tail = UnsafeMutablePointer<UInt64>.allocate(capacity: 32)
  private(set) var received = 0
  private(set) var failed = 0

  init(_ channel: consuming sending NetworkChannel, memory: BenchMemory) throws {
    index = channel.index
    self.memory = memory
    hostReader = try toHost.reader()
    reader = try toGuest.reader()
    writer = try toHost.writer()
    lane = Mutex(Lane(channel: channel, writer: try toGuest.writer()))
    places = (0..<Self.rooms).map { _ in memory.take(Self.roomPages)[0] }
    free = Array(0..<Self.rooms)
  }

  deinit {
    unsafe hostBuffer.deallocate()
    unsafe guestBuffer.deallocate()
    unsafe pieces.deallocate()
    unsafe tail.deallocate()
    unsafe table?.deallocate()
  }

  // MARK: The guest

  func makeQueue(_ layout: NetworkQueue.Layout) {
    let room = UnsafeMutableRawPointer.allocate(
      byteCount: NetworkQueue.tableBytes(capacity: 128, sections: 64), alignment: 16)
    unsafe table = room
    queue = unsafe NetworkQueue(layout, table: room, capacity: 128, sections: 64)
  }

  func ready(_ layout: NetworkQueue.Layout) throws { try queue?.clientReady(layout) }

  func send(_ packet: NetworkClientPacket, page: UInt64) throws {
    unsafe tail[0] = 1 << 32
    unsafe tail[1] = UInt64(packet.controlByteCount)
    unsafe tail[2] = page
    let isLong = packet.controlByteCount > 0
    try writer.write(
      type: isLong ? .gpaDirect : .inBand, completionRequested: packet.wantsCompletion,
      transactionID: packet.transactionID,
      descriptorTail: unsafe RawSpan(_unsafeStart: tail, byteCount: isLong ? 24 : 0),
      payload: packet.bytes)
    _ = writer.commit()
  }

  /// Puts a frame into each place once: a guest's frames lie where its programs have them.
  func prepare(_ bytes: [UInt8]) {
    for place in places {
      unsafe bytes.withUnsafeBytes { bytes in
        if let source = bytes.baseAddress {
          unsafe (memory.pointer(toFrame: place) + 128).copyMemory(from: source, byteCount: bytes.count)
        }
      }
    }
  }

  /// Sends up to `count` frames by their places in memory. The result is how many.
  func send(_ count: Int, byteCount: Int, _ information: PacketInformation) throws -> Int {
    var sent = 0
    while sent < count, let place = free.last {
      let start = unsafe memory.pointer(toFrame: places[place])
      var header = unsafe MutableRawSpan(_unsafeStart: start, byteCount: 128)
      let send = NetworkSend(byteCount: byteCount, information: information, context: UInt64(place))
      guard let packet = try queue?.begin(send, .ranges, header: &header) else { break }
      // The header to the front of the frame, so that one range has both.
      let offset = 128 - packet.headerByteCount
      unsafe memmove(start + offset, start, packet.headerByteCount)
      let total = packet.headerByteCount + byteCount
      let pages = (offset + total + 4095) >> 12
      unsafe tail[0] = 1 << 32
      unsafe tail[1] = UInt64(total) | UInt64(offset) << 32
      for page in 0..<pages { unsafe tail[2 + page] = places[place] + UInt64(page) }
      try writer.write(
        type: .gpaDirect, completionRequested: true, transactionID: packet.transactionID,
        descriptorTail: unsafe RawSpan(_unsafeStart: tail, byteCount: 16 + pages * 8), payload: packet.bytes)
      free.removeLast()
      sent += 1
    }
    _ = writer.commit()
    return sent
  }

  /// Takes what the host has sent; what is the client's goes to `client`.
  func take(_ buffer: BenchReceiveBuffer, client: (Bool, UInt64, RawSpan) throws -> Void) throws {
    while let packet = try unsafe reader.next(into: guestBuffer) {
      let bytes = unsafe RawSpan(_unsafeBytes: guestBuffer).extracting(first: packet.byteCount)
      guard queue != nil else {
        try client(packet.type == .completion, packet.transactionID, packet.payload(in: bytes))
        continue
      }
      guard let inbound = try queue?.receive(packet, in: bytes) else { continue }
      switch inbound {
      case .sent(let sent):
        if !sent.isGood { failed += 1 }
        free.append(Int(sent.context))
      case .completion: try client(true, packet.transactionID, packet.payload(in: bytes))
      case .notice: try client(false, 0, packet.payload(in: bytes))
      case .messages(var messages):
        while let message = queue?.nextMessage(of: &messages, in: bytes, buffer: buffer) {
          switch message {
          case .frame(let frame): if frame.isLast { received += 1 }
          case .control(let offset, let count):
            let place = buffer.first << 12 + UInt64(offset)
            if let start = unsafe memory.pointer(to: place, count: count) {
              try client(false, .max, unsafe RawSpan(_unsafeStart: start, byteCount: count))
            }
          }
        }
        if messages.status != .success { failed += 1 }
        try writer.write(
          type: .completion, completionRequested: false, transactionID: messages.transactionID,
          descriptorTail: RawSpan(), payload: NetworkReceiveCompletion(messages.status).bytes)
      }
    }
    _ = reader.commit()
    _ = writer.commit()
  }

  // MARK: The host

  /// Takes what the guest has sent: frames go to `sender`, as `lis run` sends them.
  func serve(_ sender: (any FrameSender)?, control: (NetworkControl, inout NetworkChannel) -> Void) throws {
    while let packet = try unsafe hostReader.next(into: hostBuffer) {
      let bytes = unsafe UnsafeRawBufferPointer(hostBuffer)
      let arrival = lane.withLock { lane in
        unsafe lane.channel.receive(
          packet, in: RawSpan(_unsafeBytes: bytes).extracting(first: packet.byteCount), memory: memory)
      }
      switch arrival {
      case .settled: break
      case .control(let demand): lane.withLock { control(demand, &$0.channel) }
      case .frames(var batch):
        while let count = unsafe next(of: &batch, in: bytes, packet.byteCount) {
          if count > 0, let sender { send(count, sender) }
        }
        let finished = batch
        lane.withLock { $0.channel.complete(finished) }
      }
    }
    _ = hostReader.commit()
    sender?.flush()
    deliver()
  }

  private func next(of batch: inout TransmitBatch, in bytes: UnsafeRawBufferPointer, _ byteCount: Int) -> Int? {
    lane.withLock { lane -> Int? in
      let packet = unsafe RawSpan(_unsafeBytes: bytes).extracting(first: byteCount)
      guard lane.channel.nextFrame(of: &batch, into: &frame, in: packet, memory: memory) else { return nil }
      var count = 1
      while let segment = lane.channel.nextSegment(of: &frame, in: packet) {
        let length = Int(segment.byteCount)
        guard count < 64, let pointer = unsafe memory.pointer(to: segment.address, count: length) else { return 0 }
        unsafe pieces[count] = iovec(iov_base: pointer, iov_len: length)
        count += 1
      }
      return count
    }
  }

  private func send(_ count: Int, _ sender: any FrameSender) {
    var offloads = FrameOffloads.none
    if frame.offloads.needsChecksum {
      offloads.checksum = .needed(start: frame.offloads.checksumStart, offset: frame.offloads.checksumOffset)
    }
    if frame.offloads.isSegmented {
      offloads.segmentation = .tcp4(ecn: false)
      offloads.segmentSize = frame.offloads.segmentSize
      offloads.headerLength = frame.offloads.headerSize
    }
    unsafe frame.header.withUnsafeBytes { header in
      unsafe pieces[0] = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: header.baseAddress), iov_len: header.count)
      unsafe sender.send(
        FrameView(
          pieces: UnsafeBufferPointer(rebasing: pieces[..<count]), byteCount: frame.byteCount, offloads: offloads))
    }
  }

  func deliver() {
    lane.withLock { lane in
      do {
        if lane.channel.hasAnswers { _ = try lane.channel.deliver(to: &lane.writer, memory: memory) }
      } catch {
        preconditionFailure("the ring is broken: \(error)")
      }
    }
  }

  /// A frame from the switch, copied once.
  func accept(_ view: FrameView, hash: UInt32?) -> Bool {
    lane.withLock { lane in
      guard let first = unsafe view.pieces.first else { return false }
      var arrival = ReceiveFrame(byteCount: view.byteCount, tag: view.tag?.rawValue, hash: hash)
      if case .needed = view.offloads.checksum { arrival.checksum = .partial }
      let header = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(first.iov_base), byteCount: first.iov_len)
      do throws(ReceiveRefusal) {
        var placement = try lane.channel.begin(arrival, header: header, memory: memory)
        var piece = 0
        var done = 0
        while let segment = lane.channel.nextSegment(of: &placement) {
          let count = Int(segment.byteCount)
          guard let target = unsafe memory.pointer(to: segment.address, count: count) else { return false }
          var at = 0
          while at < count {
            let source = unsafe view.pieces[piece]
            let step = unsafe min(count - at, source.iov_len - done)
            if let base = unsafe source.iov_base { unsafe memcpy(target + at, base + done, step) }
            at += step
            done += step
            if unsafe done == source.iov_len {
              piece += 1
              done = 0
            }
          }
        }
        lane.channel.finish(placement)
        return true
      } catch {
        return false
      }
    }
  }
}

/// One ring in ordinary memory.
@safe final class BenchRing {
  private let base: UnsafeMutableRawPointer
  private let byteCount: UInt32

  init(byteCount: UInt32) {
    self.byteCount = byteCount
    unsafe base = .allocate(byteCount: 4096 + Int(byteCount), alignment: 4096)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: 4096 + Int(byteCount))
    unsafe RingControl(page: base).initialize()
  }

  deinit { unsafe base.deallocate() }

  func reader() throws -> RingReader<LinearRingStorage> {
    try unsafe RingReader(
      control: RingControl(page: base), storage: LinearRingStorage(base: base + 4096, byteCount: byteCount))
  }

  func writer() throws -> RingWriter<LinearRingStorage> {
    try unsafe RingWriter(
      control: RingControl(page: base), storage: LinearRingStorage(base: base + 4096, byteCount: byteCount))
  }
}

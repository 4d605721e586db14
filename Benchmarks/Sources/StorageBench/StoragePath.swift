// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import ServiceClients
import ServiceProviders
import Synchronization
import VMBus
import VirtualDisks

/// The whole way of a request on one thread: the guest's queue, a ring, the host's channel, the SCSI model under its unit's
/// lock, a drive in memory, and back.
@safe final class StoragePath {
  static let depth = 32
  static let driveBytes = 64 << 20
  static let firstFrame: UInt64 = 0x10000
  static let blockBytes = 4096
  private static let ringBytes: UInt32 = 124 << 10

  private let toHost = PathRing(byteCount: ringBytes)
  private let toGuest = PathRing(byteCount: ringBytes)
  private let drive: UnsafeMutableRawPointer
  private let memory: UnsafeMutableRawPointer
  private let table: UnsafeMutableRawPointer
  private let hostBuffer: UnsafeMutableRawBufferPointer
  private let guestBuffer: UnsafeMutableRawBufferPointer
  private let unit: Mutex<SCSIUnit>

  private var queue: StorageQueue
  private var guestWriter: RingWriter<LinearRingStorage>
  private var guestReader: RingReader<LinearRingStorage>
  private var channel: StorageChannel
  private var hostReader: RingReader<LinearRingStorage>
  private var hostWriter: RingWriter<LinearRingStorage>
  private var response = SCSIResponse()
  private var provider = StorageProvider()
  private var tail = InlineArray<4, UInt64>(repeating: 0)
  private var freeBuffers: [Int]
  private(set) var completed = 0
  private(set) var failed = 0
  private var random: UInt64 = 1

  init() throws {
    unsafe drive = .allocate(byteCount: Self.driveBytes, alignment: 4096)
    unsafe drive.initializeMemory(as: UInt8.self, repeating: 1, count: Self.driveBytes)
    let buffers = Self.depth * Self.blockBytes
    unsafe memory = .allocate(byteCount: buffers, alignment: 4096)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 2, count: buffers)
    unsafe table = .allocate(byteCount: StorageQueue.tableBytes(capacity: 256), alignment: 16)
    unsafe hostBuffer = .allocate(byteCount: 8192, alignment: 16)
    unsafe guestBuffer = .allocate(byteCount: 256, alignment: 16)
    unit = Mutex(
      .disk(
        SCSIDisk(DriveCharacteristics(byteCount: UInt64(Self.driveBytes), identifier: GUID(low: 1, high: 2)))))
    unsafe queue = StorageQueue(version: .v6_2, table: table, capacity: 256)
    guestWriter = try toHost.writer()
    hostReader = try toHost.reader()
    hostWriter = try toGuest.writer()
    guestReader = try toGuest.reader()
    freeBuffers = Array(0..<Self.depth)
    var effects: [StorageEffect] = []
    channel = provider.channelOpened(0, effects: &effects)
    try connect()
  }

  deinit {
    unsafe drive.deallocate()
    unsafe memory.deallocate()
    unsafe table.deallocate()
    unsafe hostBuffer.deallocate()
    unsafe guestBuffer.deallocate()
  }

  private func connect() throws {
    var client = StorageClient()
    var next: StoragePacket? = client.channelOpened()
    while let packet = next {
      next = nil
      try guestWriter.write(
        type: .inBand, completionRequested: true, transactionID: packet.transactionID, payload: packet.bytes)
      _ = guestWriter.commit()
      try serve()
      while let answer = try unsafe guestReader.next(into: guestBuffer) {
        let bytes = unsafe RawSpan(_unsafeBytes: guestBuffer).extracting(first: answer.byteCount)
        if case .send(let packet) = try client.receive(
          answer.payload(in: bytes), transactionID: answer.transactionID)
        {
          next = packet
        }
      }
      _ = guestReader.commit()
    }
    precondition(client.state == .ready)
  }

  /// Moves `count` requests of 4 KiB, `depth` at a time, at random places.
  func run(_ count: Int, writes: Bool) throws {
    let target = completed + count
    while completed < target {
      try submit(writes)
      try serve()
      try reap()
    }
  }

  private func submit(_ writes: Bool) throws {
    while let buffer = freeBuffers.last {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let block = UInt32(truncatingIfNeeded: random >> 40) % UInt32(Self.driveBytes / Self.blockBytes) * 8
      var command = SCSICommandBlock(writes ? .write10 : .read10, byteCount: 10)
      command.set(block, at: 2)
      command.set(8 as UInt16, at: 7)
      let packet = try queue.begin(
        StorageCommand(
          unit: 0, command, direction: writes ? .write : .read, byteCount: UInt32(Self.blockBytes),
          context: UInt64(buffer)))
      tail[0] = 1 << 32
      tail[1] = UInt64(Self.blockBytes)
      tail[2] = Self.firstFrame + UInt64(buffer)
      try guestWriter.write(
        type: .gpaDirect, completionRequested: true, transactionID: packet.transactionID,
        descriptorTail: unsafe tail.span.bytes.extracting(first: 24), payload: packet.bytes)
      freeBuffers.removeLast()
    }
    _ = guestWriter.commit()
  }

  private func serve() throws {
    while channel.canReceive, let packet = try unsafe hostReader.next(into: hostBuffer) {
      let bytes = unsafe RawSpan(_unsafeBytes: hostBuffer).extracting(first: packet.byteCount)
      switch channel.receive(packet, in: bytes) {
      case .command(let request): try execute(request, bytes)
      case .control(let control):
        var effects: [StorageEffect] = []
        provider.receive(control, on: &channel, effects: &effects)
      case .settled: failed += 1
      }
    }
    _ = hostReader.commit()
    _ = try channel.deliver(to: &hostWriter)
  }

  private func execute(_ request: StorageRequest, _ bytes: RawSpan) throws {
    guard var segments = request.segments, let segment = try segments.next(in: bytes) else {
      return channel.complete(request.id, .invalid)
    }
    let offset = Int(segment.address - Self.firstFrame << 12)
    let command = SCSICommand(request.command, bufferByteCount: request.byteCount)
    let step = unit.withLock { $0.begin(command, into: &response) }
    guard case .transfer(let drive, let task) = step else { return channel.complete(request.id, .invalid) }
    let place = Int(drive.byteOffset)
    let count = Int(drive.byteCount)
    if drive.operation == .read {
      unsafe (memory + offset).copyMemory(from: self.drive + place, byteCount: count)
    } else {
      unsafe (self.drive + place).copyMemory(from: memory + offset, byteCount: count)
    }
    guard case .complete(let outcome) = task.finish(.success) else { return channel.complete(request.id, .invalid) }
    channel.complete(request.id, outcome)
  }

  private func reap() throws {
    while let packet = try unsafe guestReader.next(into: guestBuffer) {
      let bytes = unsafe RawSpan(_unsafeBytes: guestBuffer).extracting(first: packet.byteCount)
      guard case .completed(let completion) = try queue.receive(packet, in: bytes) else { continue }
      if completion.verdict != .success || completion.byteCount != UInt32(Self.blockBytes) { failed += 1 }
      freeBuffers.append(Int(completion.context))
      completed += 1
    }
    _ = guestReader.commit()
  }
}

/// One ring in ordinary memory.
@safe final class PathRing {
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

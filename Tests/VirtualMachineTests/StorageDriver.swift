// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Dispatch
import Glibc
import Partition
import ServiceClients
import VMBus

@testable import VirtualMachine

/// A guest's storage driver on one channel, on a thread of its own: rings of a page or two, interrupts masked while it
/// reads, batches, a ring that it lets run full, and what each of its blocks must hold.
@safe final class StorageDriver {
  struct Broken: Error {}

  private static let ringPages = 2
  private static let incoming: [UInt64] = [16, 17, 18]
  private static let outgoing: [UInt64] = [32, 33, 34]
  private static let firstBuffer: UInt64 = 256
  private static let blocks = 6000
  private static let depth = 96
  private static let patience = 20

  let memory: GuestMemory
  /// What the host's interrupt does.
  let interrupt = DispatchSemaphore(value: 0)
  var runner: StorageRunner?
  var version = StorageVersion.v6_2
  private let index: UInt16
  private let table: UnsafeMutableRawPointer
  private let packetBuffer: UnsafeMutableRawBufferPointer
  private var queue: StorageQueue
  private var reader: RingReader<LinearRingStorage>
  private var writer: RingWriter<LinearRingStorage>
  private var generator = SystemRandomNumberGenerator()
  private var client = StorageClient()

  private enum Kind { case write(UInt64), read, flush, discard }
  private struct Request {
    var kind: Kind
    var block: Int
    var frame: UInt64
  }
  private var underWay: [UInt64: Request] = [:]
  private var busyBlocks: Set<Int> = []
  private var freeFrames: [UInt64] = []
  /// The stamp of each block; nothing: zeroes.
  private var stamps: [Int: UInt64] = [:]
  private var next: UInt64 = 1
  private var problem: String?
  private var fulls = 0

  init(index: UInt16) throws {
    self.index = index
    memory = try GuestMemory(byteCount: 4 << 20)
    unsafe table = .allocate(byteCount: StorageQueue.tableBytes(capacity: Self.depth), alignment: 16)
    unsafe packetBuffer = .allocate(byteCount: 256, alignment: 16)
    queue = unsafe StorageQueue(version: .v6_2, table: table, capacity: Self.depth)
    let toHost = try unsafe Self.ring(memory, Self.incoming)
    let toGuest = try unsafe Self.ring(memory, Self.outgoing)
    let count = UInt32(Self.ringPages) << 12
    writer = try unsafe RingWriter(
      control: RingControl(page: toHost), storage: LinearRingStorage(base: toHost + 4096, byteCount: count))
    reader = try unsafe RingReader(
      control: RingControl(page: toGuest), storage: LinearRingStorage(base: toGuest + 4096, byteCount: count))
    freeFrames = (0..<UInt64(Self.depth)).map { Self.firstBuffer + $0 }
  }

  deinit {
    unsafe table.deallocate()
    unsafe packetBuffer.deallocate()
  }

  /// Frames that follow each other lie behind each other here, too.
  private static func ring(_ memory: GuestMemory, _ frames: [UInt64]) throws -> UnsafeMutableRawPointer {
    guard let page = unsafe memory.page(frames[0]) else { throw Broken() }
    unsafe RingControl(page: page).initialize()
    return unsafe page
  }

  /// The host's end of the rings in such a driver's memory.
  static func hostRings(_ memory: GuestMemory) throws -> sending ChannelRings {
    try ChannelRings(
      memory: memory, incoming: incoming, outgoing: outgoing, largestPacket: StorageRunner.largestPacket)
  }

  // MARK: Bring-up

  func handshake(wantedSubChannels: UInt16) throws {
    client = StorageClient(wantedSubChannels: wantedSubChannels)
    guard put(client.channelOpened(), tail: []) else { throw Broken() }
    while client.state != .ready {
      guard wait() else { throw Broken() }
      receive(most: .max)
      if problem != nil { throw Broken() }
    }
    version = client.version
  }

  // MARK: The test

  /// Makes so many requests, with as many of them under way as there is room for. The result: what went wrong.
  func run(_ count: Int) -> String? {
    queue.channelOpened(version: version)
    var left = count
    while problem == nil, left > 0 || !underWay.isEmpty {
      // A burst, as the block layer makes them; then perhaps a pause.
      var burst = Int.random(in: 1...Self.depth, using: &generator)
      var waitsForSpace = false
      while left > 0, burst > 0, let frame = freeFrames.last {
        guard make(frame) else {
          fulls += 1
          // Some drivers ask for a signal, some look again after the next answer.
          waitsForSpace = Bool.random(using: &generator) && !writer.requestSpace(512)
          break
        }
        left -= 1
        burst -= 1
      }
      if Int.random(in: 0..<8, using: &generator) == 0 { usleep(UInt32.random(in: 1...500, using: &generator)) }
      if Int.random(in: 0..<16, using: &generator) == 0 { runner?.retarget(to: VPIndex(0)) }
      guard waitsForSpace || !underWay.isEmpty else { continue }
      guard wait() else { return "channel \(index): \(standstill), \(left) to go" }
      readAll()
    }
    return problem.map { "channel \(index): \($0)" }
  }

  private var standstill: String {
    "nothing in \(Self.patience) s: \(underWay.count) requests under way, \(fulls) times without room"
  }

  private func wait() -> Bool { interrupt.wait(timeout: .now() + .seconds(Self.patience)) == .success }

  /// As Linux reads a ring: nobody interrupts meanwhile, and what came in between is looked for at the end.
  private func readAll() {
    repeat {
      reader.maskInterrupts()
      // Now and then space is given back piece by piece.
      receive(most: Int.random(in: 0..<4, using: &generator) == 0 ? 3 : .max)
    } while problem == nil && reader.unmaskInterrupts()
  }

  private func receive(most: Int) {
    do throws(RingError) {
      var left = most
      while left > 0, let packet = try unsafe reader.next(into: packetBuffer) {
        left -= 1
        take(packet, unsafe RawSpan(_unsafeBytes: packetBuffer).extracting(first: packet.byteCount))
      }
      if reader.commit() { runner?.ring() }
    } catch {
      problem = "the host's ring is broken: \(error)"
    }
  }

  private func take(_ packet: Packet, _ bytes: RawSpan) {
    do throws(StorageClientFault) {
      switch try queue.receive(packet, in: bytes) {
      case .completed(let completion): end(completion)
      case .unitsChanged: break
      case .control:
        let payload = bytes.extracting(droppingFirst: packet.payloadOffset)
        if case .send(let next) = try client.receive(payload, transactionID: packet.transactionID) {
          if !put(next, tail: []) { problem = "no room in the bring-up" }
        }
      }
    } catch {
      problem = "an answer that nobody waits for: \(error)"
    }
  }

  // MARK: Requests

  private func put(_ packet: StoragePacket, tail: [UInt8]) -> Bool {
    do throws(RingError) {
      try writer.write(
        type: tail.isEmpty ? .inBand : .gpaDirect, completionRequested: true, transactionID: packet.transactionID,
        descriptorTail: unsafe tail.span.bytes, payload: packet.bytes)
    } catch {
      return false
    }
    if writer.commit() { runner?.ring() }
    return true
  }

  /// Each driver has a part of the disk.
  private var firstBlock: UInt64 { UInt64(index) * 8000 }

  private func make(_ frame: UInt64) -> Bool {
    let block = Int.random(in: 0..<Self.blocks, using: &generator)
    if busyBlocks.contains(block) { return true }
    let place = UInt32(truncatingIfNeeded: (firstBlock + UInt64(block)) * 8)
    var request = Request(kind: .flush, block: block, frame: frame)
    var command = SCSICommandBlock(.synchronizeCache10, byteCount: 10)
    var byteCount = 0
    var direction = StorageDirection.none
    guard let page = unsafe memory.page(frame) else { return false }
    switch Int.random(in: 0..<20, using: &generator) {
    case 0, 1: break
    case 2:
      request.kind = .discard
      command = SCSICommandBlock(.unmap, byteCount: 10)
      command.set(24 as UInt16, at: 7)
      (byteCount, direction) = (24, .write)
      unsafe page.initializeMemory(as: UInt8.self, repeating: 0, count: 24)
      unsafe page.storeBytes(of: UInt16(22).bigEndian, as: UInt16.self)
      unsafe page.storeBytes(of: UInt16(16).bigEndian, toByteOffset: 2, as: UInt16.self)
      unsafe page.storeBytes(of: UInt64(place).bigEndian, toByteOffset: 8, as: UInt64.self)
      unsafe page.storeBytes(of: UInt32(8).bigEndian, toByteOffset: 16, as: UInt32.self)
    case 3..<8:
      request.kind = .read
      command = SCSICommandBlock(.read10, byteCount: 10)
      (byteCount, direction) = (4096, .read)
      unsafe page.initializeMemory(as: UInt64.self, repeating: .max, count: 512)
    default:
      request.kind = .write(next)
      command = SCSICommandBlock(.write10, byteCount: 10)
      (byteCount, direction) = (4096, .write)
      unsafe page.initializeMemory(as: UInt64.self, repeating: next, count: 512)
    }
    if case .read = request.kind { setPlace(place, &command) }
    if case .write = request.kind { setPlace(place, &command) }
    let context = next
    let asked = StorageCommand(
      unit: 0, command, direction: direction, byteCount: UInt32(byteCount), context: context)
    guard let packet = try? queue.begin(asked) else { return false }
    guard put(packet, tail: Self.tail(byteCount, frame)) else {
      queue.cancel(packet)
      return false
    }
    next += 1
    freeFrames.removeLast()
    if byteCount > 0 { busyBlocks.insert(block) }
    underWay[context] = request
    return true
  }

  private func setPlace(_ place: UInt32, _ command: inout SCSICommandBlock) {
    command.set(place, at: 2)
    command.set(8 as UInt16, at: 7)
  }

  private static func tail(_ byteCount: Int, _ frame: UInt64) -> [UInt8] {
    guard byteCount > 0 else { return [] }
    var tail = [UInt8](repeating: 0, count: 24)
    var span = tail.mutableSpan
    var bytes = unsafe span.mutableBytes
    do throws(WireError) {
      var at = try DescriptorTail.beginGPADirect(rangeCount: 1, into: &bytes)
      at = try DescriptorTail.range(byteCount: UInt32(byteCount), byteOffset: 0, at: at, into: &bytes)
      _ = try DescriptorTail.pageFrame(frame, at: at, into: &bytes)
    } catch {
      preconditionFailure("a tail of one page is 24 bytes")
    }
    return tail
  }

  private func end(_ completion: StorageCompletion) {
    guard let request = underWay.removeValue(forKey: completion.context) else {
      problem = "request \(completion.context) ended twice"
      return
    }
    freeFrames.append(request.frame)
    busyBlocks.remove(request.block)
    guard completion.verdict == .success else {
      problem = "\(request.kind) of block \(request.block) ended with \(completion.verdict)"
      return
    }
    switch request.kind {
    case .flush: break
    case .discard: stamps[request.block] = nil
    case .write(let stamp): stamps[request.block] = stamp
    case .read:
      guard let page = unsafe memory.page(request.frame) else { return }
      let expected = stamps[request.block] ?? 0
      let words = unsafe UnsafeRawBufferPointer(start: page, count: 4096).bindMemory(to: UInt64.self)
      if unsafe words.contains(where: { $0 != expected }) {
        problem = unsafe "block \(request.block) holds \(words[0]), not \(expected)"
      }
    }
  }
}

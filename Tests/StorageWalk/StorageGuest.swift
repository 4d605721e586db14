// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import ServiceClients
import VMBus

/// A channel on the guest's side.
@safe public final class GuestPort {
  public var queue: StorageQueue
  public var reader: RingPair.Reader
  public var writer: RingPair.Writer
  let rings: RingPair
  private let table: UnsafeMutableRawPointer
  let buffer: UnsafeMutableRawBufferPointer
  /// Answers owed by the host, by transaction id: everything goes out with a completion requested.
  var owed: [UInt64: Int] = [:]

  init(_ rings: RingPair, capacity: Int, version: StorageVersion) {
    self.rings = rings
    unsafe table = .allocate(byteCount: StorageQueue.tableBytes(capacity: capacity), alignment: 16)
    queue = unsafe StorageQueue(version: version, table: table, capacity: capacity)
    reader = rings.reader(.guest)
    writer = rings.writer(.guest)
    unsafe buffer = .allocate(byteCount: 256, alignment: 16)
  }

  deinit {
    unsafe table.deallocate()
    unsafe buffer.deallocate()
  }

  /// False: no room.
  func send(_ packet: StoragePacket, tail: [UInt8] = []) -> Bool {
    do throws(RingError) {
      try writer.write(
        type: tail.isEmpty ? .inBand : .gpaDirect, completionRequested: true, transactionID: packet.transactionID,
        descriptorTail: unsafe tail.span.bytes, payload: packet.bytes)
    } catch {
      return false
    }
    _ = writer.commit()
    owed[packet.transactionID, default: 0] += 1
    return true
  }
}

public typealias StorageVerdict = StorageCompletion.Verdict

/// The guest's driver, with a memory of what its disks must hold.
public final class StorageGuest {
  public var client: StorageClient
  public private(set) var ports: [UInt16: GuestPort] = [:]
  public private(set) var problem: String?
  public private(set) var completed = 0
  private var verdicts: [StorageVerdict] = []
  public private(set) var successes = 0
  public private(set) var rescans = 0
  public private(set) var resets = 0
  /// What each sector holds, as a stamp; nil: nobody knows, since a write of it failed.
  var shadow: [UInt8: [UInt32?]] = [:]
  var expected: [UInt64: Expectation] = [:]
  private var nextContext: UInt64 = 1
  let memory: GuestPages
  private var freeFrames: [UInt64]

  struct Expectation {
    enum Kind {
      case read, write(UInt32), other
    }
    var kind: Kind
    var unit: UInt8
    var sectors: Range<Int>
    var frames: [UInt64]
    var offset: Int
    var channel: UInt16
  }

  public init(memory: GuestPages, subChannels: UInt16) {
    self.memory = memory
    client = StorageClient(wantedSubChannels: subChannels)
    freeFrames = (0..<UInt64(memory.frameCount)).map { GuestPages.firstFrame + $0 }
  }

  public var isReady: Bool { client.state == .ready }
  public var outstanding: Int { expected.count }

  // MARK: Channels

  public func open(_ index: UInt16, _ rings: RingPair) {
    close(index)
    let port = GuestPort(rings, capacity: 256, version: client.version)
    ports[index] = port
    if index == 0, !port.send(client.channelOpened()) { problem = "no room for the first packet" }
  }

  /// The channel is gone: what was outstanding on it is over.
  public func close(_ index: UInt16) {
    guard let port = ports.removeValue(forKey: index) else { return }
    while let completion = port.queue.abandon() { end(completion) }
    if index == 0 { client.channelClosed() }
  }

  /// Takes up to `limit` packets of the host.
  public func receive(_ index: UInt16, limit: Int = 64) {
    guard let port = ports[index] else { return }
    do throws(RingError) {
      var left = limit
      while left > 0, let packet = try unsafe port.reader.next(into: port.buffer) {
        let bytes = unsafe RawSpan(_unsafeBytes: port.buffer).extracting(first: packet.byteCount)
        take(packet, bytes, port)
        left -= 1
      }
      _ = port.reader.commit()
    } catch {
      problem = "channel \(index): the host's ring is broken: \(error)"
    }
  }

  private func take(_ packet: Packet, _ bytes: RawSpan, _ port: GuestPort) {
    if packet.type == .completion {
      guard let count = port.owed[packet.transactionID], count > 0 else {
        problem = "an answer that nobody waits for: \(packet.transactionID)"
        return
      }
      port.owed[packet.transactionID] = count > 1 ? count - 1 : nil
    }
    do throws(StorageClientFault) {
      switch try port.queue.receive(packet, in: bytes) {
      case .completed(let completion): end(completion)
      case .unitsChanged: rescans += 1
      case .control:
        let payload = bytes.extracting(droppingFirst: packet.payloadOffset)
        switch try client.receive(payload, transactionID: packet.transactionID) {
        case .send(let next): if !port.send(next) { problem = "no room in the bring-up" }
        case .ready: port.queue.version = client.version
        // The walk decides whether that may be.
        case .failed: break
        case .resetDone: resets += 1
        }
      }
    } catch {
      // Answers to what a hostile guest made up.
    }
  }

  public func reset() {
    guard let port = ports[0], let packet = try? client.reset() else { return }
    // Without room the driver would try again.
    if !port.send(packet) { client.channelClosed() }
  }

  // MARK: Commands

  /// Whether sectors are free of commands under way: what two of them would leave is anybody's guess.
  func isFree(_ unit: UInt8, _ sectors: Range<Int>) -> Bool {
    !expected.values.contains { $0.unit == unit && $0.sectors.overlaps(sectors) }
  }

  /// Sends a command with a buffer of `byteCount` bytes, `offset` bytes into its first page, filled with `fill`.
  func send(
    _ block: SCSICommandBlock, to unit: UInt8, on channel: UInt16, direction: StorageDirection, byteCount: Int,
    offset: Int, kind: Expectation.Kind, sectors: Range<Int> = 0..<0, fill: [UInt8] = [], scatters: Bool = true
  ) {
    guard let port = ports[channel], isReady else { return }
    let pages = byteCount == 0 ? 0 : (offset + byteCount + 4095) / 4096
    guard freeFrames.count >= pages else { return }
    let frames = Array(freeFrames.suffix(pages))
    let context = nextContext
    let command = StorageCommand(
      unit: unit, block, direction: direction, byteCount: UInt32(byteCount), context: context)
    guard let packet = try? port.queue.begin(command) else { return }
    var tail: [UInt8] = []
    if byteCount > 0 {
      tail = Array(repeating: 0, count: 16 + 8 * pages)
      var span = tail.mutableSpan
      var bytes = unsafe span.mutableBytes
      do throws(WireError) {
        var at = try DescriptorTail.beginGPADirect(rangeCount: 1, into: &bytes)
        at = try DescriptorTail.range(
          byteCount: UInt32(byteCount), byteOffset: UInt32(offset), at: at, into: &bytes)
        for frame in frames { at = try DescriptorTail.pageFrame(frame, at: at, into: &bytes) }
      } catch {
        problem = "a tail is too short"
      }
    }
    if scatters { memory.scatter(fill, into: Self.places(frames, offset, byteCount)) }
    guard port.send(packet, tail: tail) else {
      port.queue.cancel(packet)
      return
    }
    freeFrames.removeLast(pages)
    nextContext += 1
    expected[context] = Expectation(
      kind: kind, unit: unit, sectors: sectors, frames: frames, offset: offset, channel: channel)
  }

  static func places(_ frames: [UInt64], _ offset: Int, _ byteCount: Int) -> [Range<Int>] {
    var left = byteCount
    return frames.enumerated().map { index, frame in
      let start = Int(frame - GuestPages.firstFrame) * 4096 + (index == 0 ? offset : 0)
      let count = min(left, 4096 - (index == 0 ? offset : 0))
      left -= count
      return start..<start + count
    }
  }

  /// A command whose buffer is in a page of the caller's choice, or in one of ours.
  public func send(
    _ block: SCSICommandBlock, to unit: UInt8, direction: StorageDirection, byteCount: Int, at frame: UInt64? = nil
  ) {
    if let frame { freeFrames.append(frame) }
    send(
      block, to: unit, on: 0, direction: direction, byteCount: byteCount, offset: 0, kind: .other,
      scatters: frame == nil)
  }

  /// How the commands since the last call ended, in order.
  public func takeVerdicts() -> [StorageVerdict] {
    defer { verdicts = [] }
    return verdicts
  }

  private func end(_ completion: StorageCompletion) {
    guard let was = expected.removeValue(forKey: completion.context) else {
      problem = "request \(completion.context) ended twice"
      return
    }
    completed += 1
    // Not what a test made up.
    freeFrames += was.frames.filter {
      $0 >= GuestPages.firstFrame && $0 - GuestPages.firstFrame < UInt64(memory.frameCount)
    }
    if verdicts.count < 4096 { verdicts.append(completion.verdict) }
    let byteCount = was.sectors.count * 512
    if completion.verdict == .success { successes += 1 }
    switch was.kind {
    case .other: break
    case .read:
      guard completion.verdict == .success else { return }
      guard Int(completion.byteCount) == byteCount else {
        problem = "a read of \(byteCount) moved \(completion.byteCount)"
        return
      }
      let data = memory.gather(Self.places(was.frames, was.offset, byteCount), byteCount)
      for (index, sector) in was.sectors.enumerated() {
        guard let stamp = shadow[was.unit]?[sector] else { continue }
        if data[512 * index..<512 * (index + 1)] != Self.sector(stamp)[...] {
          problem = "unit \(was.unit) sector \(sector) does not hold \(stamp)"
        }
      }
    case .write(let stamp):
      let known: UInt32? = completion.verdict == .success ? stamp : nil
      for sector in was.sectors { shadow[was.unit]?[sector] = known }
    }
  }

  /// 512 bytes that say `stamp`.
  static func sector(_ stamp: UInt32) -> [UInt8] {
    (0..<512).map { UInt8(truncatingIfNeeded: stamp >> UInt32(8 * ($0 & 3))) }
  }

  /// Nothing is left to wait for.
  public func owesNothing() -> String? {
    for (index, port) in ports where !port.owed.isEmpty {
      return "channel \(index): no answer to \(port.owed.keys.sorted().prefix(8))"
    }
    return expected.isEmpty ? nil : "requests without an end: \(expected.keys.sorted().prefix(8))"
  }
}

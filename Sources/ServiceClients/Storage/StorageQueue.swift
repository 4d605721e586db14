// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The requests of one channel that the host has. Its table lies in memory that the shell gives it; nothing is allocated
/// per request. Used under the channel's lock, or by one processor.
///
/// Transaction ids are slot, use and opening, never 0 and never those of the client's controls; so an answer is matched
/// to the request that it belongs to and no other, whatever the host sends.
@safe public struct StorageQueue: ~Copyable {
  struct Entry {
    var isOutstanding = false
    var next: UInt16 = 0
    var uses: UInt16 = 0
    var unit: UInt8 = 0
    var byteCount: UInt32 = 0
    var context: UInt64 = 0
  }

  /// What a packet of the host is.
  public enum Inbound: Sendable {
    case completed(StorageCompletion)
    /// For `StorageClient.receive`, with the packet's payload.
    case control
    /// Units came or went: test those that are known, then scan.
    case unitsChanged
  }

  /// Requests that the host has.
  public private(set) var outstanding = 0
  /// Packets dropped since the channel was opened.
  public private(set) var faults: UInt64 = 0
  public var version: StorageVersion
  public let capacity: Int
  private let entries: UnsafeMutablePointer<Entry>
  private var free: UInt16
  private var opening: UInt16 = 0

  private static var end: UInt16 { .max }

  public static func tableBytes(capacity: Int) -> Int { MemoryLayout<Entry>.stride &* capacity }

  /// `table` is `tableBytes` of memory, aligned to 16, that stays until the queue is used no more. `capacity` is below
  /// 65535.
  public init(version: StorageVersion, table: UnsafeMutableRawPointer, capacity: Int) {
    precondition(capacity > 0 && capacity < 65535)
    self.version = version
    self.capacity = capacity
    unsafe entries = table.initializeMemory(as: Entry.self, repeating: Entry(), count: capacity)
    free = 0
    link()
  }

  private func link() {
    for index in 0..<capacity {
      unsafe entries[index].next = index &+ 1 < capacity ? UInt16(truncatingIfNeeded: index &+ 1) : Self.end
    }
  }

  /// The channel was opened (again). What was outstanding is gone: end it first with `abandon`.
  public mutating func channelOpened(version: StorageVersion) {
    self.version = version
    opening &+= 1
    faults = 0
  }

  /// Makes the packet of a command. With data it goes out as a GPA-direct packet whose one range is the buffer, without
  /// in-band.
  public mutating func begin(_ command: StorageCommand) throws(StorageClientFault) -> StoragePacket {
    guard free != Self.end else { throw .full }
    let index = Int(free)
    free = unsafe entries[index].next
    unsafe entries[index].isOutstanding = true
    unsafe entries[index].uses &+= 1
    unsafe entries[index].unit = command.unit
    unsafe entries[index].byteCount = command.byteCount
    unsafe entries[index].context = command.context
    outstanding &+= 1
    var block = SCSIRequestBlock()
    block.byteCount = UInt16(truncatingIfNeeded: version.requestBlockSize)
    block.path = command.path
    block.target = command.target
    block.unit = command.unit
    block.command = command.block
    block.senseLength = UInt8(SCSIRequestBlock.senseSize)
    block.direction = command.direction
    block.queueAction = 0x20
    block.flags = Self.flags(command.direction)
    block.dataLength = command.byteCount
    block.timeoutSeconds = 60
    return unsafe StoragePacket(block, version: version, transactionID: id(of: index, entries[index].uses))
  }

  /// Flags and action of a request as Windows has them (SRB_FLAGS_… and SRB_SIMPLE_TAG_REQUEST of its srb.h): tagged, not
  /// synchronous, and which way the data go.
  private static func flags(_ direction: StorageDirection) -> UInt32 {
    let tagged: UInt32 = 0x02 | 0x08
    return direction == .read ? tagged | 0x40 : direction == .write ? tagged | 0x80 : tagged
  }

  /// The packet of a command did not fit into the ring: as if it had never begun.
  public mutating func cancel(_ packet: borrowing StoragePacket) {
    if let index = index(of: packet.transactionID) { end(index) }
  }

  /// A packet of the host; `bytes` is the private copy. An answer to a request ends it, even when it is damaged.
  public mutating func receive(_ packet: Packet, in bytes: RawSpan) throws(StorageClientFault) -> Inbound {
    do throws(StorageClientFault) {
      return try take(packet, bytes)
    } catch {
      faults &+= 1
      throw error
    }
  }

  private mutating func take(_ packet: Packet, _ bytes: RawSpan) throws(StorageClientFault) -> Inbound {
    let payload: RawSpan
    do throws(WireError) {
      payload = try packet.payload(in: bytes)
    } catch {
      throw .truncated
    }
    switch packet.type {
    case .completion:
      if packet.transactionID >= StorageClient.firstID {
        guard payload.byteCount >= StorageHeader.packetSize else { throw .truncated }
        return .control
      }
      guard let index = index(of: packet.transactionID) else { throw .notOutstanding }
      let completion = unsafe completion(entries[index], payload)
      end(index)
      return .completed(completion)
    case .inBand:
      let operation: StorageOperation
      do throws(WireError) {
        operation = StorageOperation(rawValue: try payload.read(UInt32.self, at: 0))
      } catch {
        throw .truncated
      }
      guard operation == .enumerateBus || operation == .removeDevice else { throw .malformed }
      return .unitsChanged
    default: throw .malformed
    }
  }

  private func completion(_ entry: Entry, _ payload: RawSpan) -> StorageCompletion {
    var verdict = StorageCompletion.Verdict.adapterError(.internalError)
    var byteCount: UInt32 = 0
    var sense = StorageSense()
    do throws(WireError) {
      let header = try StorageHeader(decoding: payload)
      let block = try SCSIRequestBlock(decodingBodyOf: payload, version: version)
      if header.operation == .completion {
        verdict = Self.verdict(block)
        if verdict == .success { byteCount = min(block.dataLength, entry.byteCount) }
        if case .deviceError = verdict, block.status.hasSense { sense = StorageSense(block) }
      }
    } catch {
      // Shorter than an answer: the adapter's error that it began as.
    }
    return StorageCompletion(
      context: entry.context, unit: entry.unit, verdict: verdict, rawSense: sense, byteCount: byteCount)
  }

  /// Only what is known to be a success is one.
  private static func verdict(_ block: SCSIRequestBlock) -> StorageCompletion.Verdict {
    let length = min(Int(block.senseLength), SCSIRequestBlock.senseSize)
    let sense =
      block.status.hasSense ? SenseData(low: block.low, high: block.high, last: block.last, byteCount: length) : nil
    switch block.status.code {
    case .success, .dataOverrun:
      return block.deviceStatus == .good ? .success : .deviceError(block.deviceStatus, sense)
    case .error: return .deviceError(block.deviceStatus, sense)
    case .invalidUnit: return .noUnit
    case .aborted, .busReset, .timeout: return .aborted
    default: return .adapterError(block.status.code)
    }
  }

  /// The channel is gone: ends the requests one by one; nil when none is left.
  public mutating func abandon() -> StorageCompletion? {
    if outstanding == 0 { return nil }
    for index in 0..<capacity where unsafe entries[index].isOutstanding {
      let completion = unsafe StorageCompletion(
        context: entries[index].context, unit: entries[index].unit, verdict: .aborted, byteCount: 0)
      end(index)
      return completion
    }
    return nil
  }

  // MARK: Slots

  /// Slot + 1 in bits 0–15, which use of it in 16–31, which opening in 32–47.
  private func id(of index: Int, _ uses: UInt16) -> UInt64 {
    UInt64(truncatingIfNeeded: index &+ 1) | UInt64(uses) &<< 16 | UInt64(opening) &<< 32
  }

  private func index(of id: UInt64) -> Int? {
    let index = Int(truncatingIfNeeded: id & 0xFFFF) &- 1
    guard index >= 0, index < capacity, unsafe entries[index].isOutstanding else { return nil }
    return unsafe id == self.id(of: index, entries[index].uses) ? index : nil
  }

  private mutating func end(_ index: Int) {
    unsafe entries[index].isOutstanding = false
    unsafe entries[index].next = free
    free = UInt16(truncatingIfNeeded: index)
    outstanding &-= 1
  }
}

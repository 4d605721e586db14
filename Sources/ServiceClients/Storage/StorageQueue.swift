// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The requests of one channel that the host has. Its table lies in memory that the shell gives it; nothing is allocated
/// per request. Used under the channel's lock, or by one processor.
///
/// Transaction ids are `RequestTable`'s, never those of the client's controls.
public struct StorageQueue: ~Copyable {
  struct Entry: BitwiseCopyable {
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
  public var outstanding: Int { requests.outstanding }
  /// Packets dropped since the channel was opened.
  public private(set) var faults: UInt64 = 0
  public var version: StorageVersion
  public var capacity: Int { requests.capacity }
  private var requests: RequestTable<Entry>

  public static func tableBytes(capacity: Int) -> Int { RequestTable<Entry>.byteCount(capacity: capacity) }

  /// `table` is `tableBytes` of memory, aligned to 16, that stays until the queue is used no more. `capacity` is below
  /// 65535.
  public init(version: StorageVersion, table: UnsafeMutableRawPointer, capacity: Int) {
    self.version = version
    unsafe requests = RequestTable(memory: table, capacity: capacity, repeating: Entry())
  }

  /// The channel was opened (again). What was outstanding is gone: end it first with `abandon`.
  public mutating func channelOpened(version: StorageVersion) {
    self.version = version
    requests.reopen()
    faults = 0
  }

  /// Makes the packet of a command. With data it goes out as a GPA-direct packet whose one range is the buffer, without
  /// in-band.
  public mutating func begin(_ command: StorageCommand) throws(StorageClientFault) -> StoragePacket {
    let entry = Entry(unit: command.unit, byteCount: command.byteCount, context: command.context)
    guard let id = requests.begin(entry) else { throw .full }
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
    return StoragePacket(block, version: version, transactionID: id)
  }

  /// Flags and action of a request as Windows has them (SRB_FLAGS_… and SRB_SIMPLE_TAG_REQUEST of its srb.h): tagged, not
  /// synchronous, and which way the data go.
  private static func flags(_ direction: StorageDirection) -> UInt32 {
    let tagged: UInt32 = 0x02 | 0x08
    return direction == .read ? tagged | 0x40 : direction == .write ? tagged | 0x80 : tagged
  }

  /// The packet of a command did not fit into the ring: as if it had never begun.
  public mutating func cancel(_ packet: borrowing StoragePacket) {
    _ = requests.end(packet.transactionID)
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
      guard let entry = requests.end(packet.transactionID) else { throw .notOutstanding }
      return .completed(completion(entry, payload))
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
    guard let entry = requests.endAny() else { return nil }
    return StorageCompletion(context: entry.context, unit: entry.unit, verdict: .aborted, byteCount: 0)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

@testable import VirtualDisks

/// A unit on the bench: takes a command as bytes and plays the rest of the machine, with a drive that does what it is
/// asked and remembers it.
struct SCSIBench {
  var unit: SCSIUnit
  /// What the drive was asked for.
  var requests: [DriveRequest] = []
  /// What it answers; success when there is nothing left.
  var results: [DriveResult] = []
  var ejected = false
  private var response = SCSIResponse()

  init(_ characteristics: DriveCharacteristics) { unit = SCSIUnit(characteristics) }

  static func disk(
    sectors: UInt64 = 1 << 21, logical: UInt32 = 512, physical: UInt32? = nil, readOnly: Bool = false,
    cache: Bool = true, granularity: UInt32? = 1 << 20, identifier: GUID = GUID(low: 0x1122, high: 0x3344)
  ) -> SCSIBench {
    SCSIBench(
      DriveCharacteristics(
        byteCount: sectors * UInt64(logical), logicalSectorSize: logical, physicalSectorSize: physical,
        isReadOnly: readOnly, hasWriteCache: cache, discardGranularity: granularity, identifier: identifier))
  }

  static func dvd(sectors: UInt64 = 1000) -> SCSIBench {
    SCSIBench(.dvd(byteCount: sectors * 2048, identifier: GUID(low: 1, high: 2)))
  }

  struct Answer: Equatable {
    var outcome: SCSIOutcome
    /// What the guest finds in its buffer when the unit sent it.
    var data: [UInt8]
    var status: SCSIStatus { outcome.status }
    var sense: SenseData? { outcome.sense }
  }

  /// `buffer`: bytes that the guest sends, or as many as it has room for.
  mutating func run(
    _ bytes: [UInt8], room: Int? = nil, sending buffer: [UInt8] = [], units: SCSIUnitSet = SCSIUnitSet(rawValue: 1)
  ) -> Answer {
    var block = SCSICommandBlock(low: 0, high: 0, byteCount: bytes.count)
    for (index, byte) in bytes.enumerated() { block[index] = byte }
    let count = UInt32(clamping: room ?? (buffer.isEmpty ? 1 << 20 : buffer.count))
    var step = unit.begin(SCSICommand(block, bufferByteCount: count, units: units), into: &response)
    var data = unsafe response.bytes.withUnsafeBytes { unsafe Array($0) }
    while true {
      switch step {
      case .complete(let outcome), .ejected(let outcome):
        if case .ejected = step { ejected = true }
        return Answer(outcome: outcome, data: Array(data.prefix(Int(outcome.byteCount))))
      case .transfer(let request, let task):
        requests.append(request)
        data = []
        step = task.finish(results.isEmpty ? .success : results.removeFirst())
      case .fetch(let byteCount, let task):
        let copy = Array((buffer + Array(repeating: 0, count: byteCount)).prefix(byteCount))
        data = []
        step = unit.resume(task, data: unsafe copy.span.bytes)
      }
    }
  }

  mutating func run(_ command: ([UInt8], [UInt8])) -> Answer { run(command.0, sending: command.1) }

  /// The drive requests of one command.
  mutating func requests(of bytes: [UInt8], sending buffer: [UInt8] = []) -> [DriveRequest] {
    requests = []
    _ = run(bytes, sending: buffer)
    return requests
  }

  mutating func change(_ body: (inout SCSIDisk) -> Void) {
    guard case .disk(var disk) = unit else { return }
    body(&disk)
    unit = .disk(disk)
  }

  mutating func change(dvd body: (inout SCSIDVD) -> Void) {
    guard case .dvd(var dvd) = unit else { return }
    body(&dvd)
    unit = .dvd(dvd)
  }
}

extension SCSIBench.Answer {
  static func check(_ key: SenseKey, _ additional: AdditionalSense, information: UInt64? = nil) -> Self {
    Self(outcome: .check(key, additional, information: information), data: [])
  }
  static var good: Self { Self(outcome: .good(), data: []) }
  static var invalidField: Self { check(.illegalRequest, .invalidFieldInCommand) }
  static var invalidOperation: Self { check(.illegalRequest, .invalidOperation) }
  static var invalid: Self { Self(outcome: .invalid, data: []) }
}

/// Big-endian bytes.
func big<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
  stride(from: T.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> T($0)) }
}

/// Commands as an initiator builds them.
enum CDB {
  static func read10(_ block: UInt32, _ count: UInt16, flags: UInt8 = 0) -> [UInt8] {
    [0x28, flags] + big(block) + [0] + big(count) + [0]
  }
  static func write10(_ block: UInt32, _ count: UInt16, flags: UInt8 = 0) -> [UInt8] {
    [0x2A, flags] + big(block) + [0] + big(count) + [0]
  }
  static func read16(_ block: UInt64, _ count: UInt32, flags: UInt8 = 0) -> [UInt8] {
    [0x88, flags] + big(block) + big(count) + [0, 0]
  }
  static func write16(_ block: UInt64, _ count: UInt32, flags: UInt8 = 0) -> [UInt8] {
    [0x8A, flags] + big(block) + big(count) + [0, 0]
  }
  static func inquiry(page: UInt8? = nil, _ allocation: UInt16 = 255) -> [UInt8] {
    [0x12, page == nil ? 0 : 1, page ?? 0] + big(allocation) + [0]
  }
  static func unmap(_ count: UInt16, anchor: Bool = false) -> [UInt8] {
    [0x42, anchor ? 1 : 0, 0, 0, 0, 0, 0] + big(count) + [0]
  }
  static func writeSame16(_ block: UInt64, _ count: UInt32, flags: UInt8) -> [UInt8] {
    [0x93, flags] + big(block) + big(count) + [0, 0]
  }
  static func reportUnits(_ allocation: UInt32, select: UInt8 = 0) -> [UInt8] {
    [0xA0, 0, select, 0, 0, 0] + big(allocation) + [0, 0]
  }
}

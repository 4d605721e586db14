// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// A SCSI command that the guest has for a unit.
public struct StorageCommand: Hashable, Sendable {
  public var path: UInt8 = 0
  public var target: UInt8 = 0
  public var unit: UInt8
  public var block: SCSICommandBlock
  public var direction: StorageDirection
  /// Bytes of the buffer that goes with it.
  public var byteCount: UInt32
  /// The caller's own: comes back with the completion.
  public var context: UInt64

  @inlinable
  public init(
    unit: UInt8, _ block: SCSICommandBlock, direction: StorageDirection = .none, byteCount: UInt32 = 0,
    context: UInt64 = 0
  ) {
    self.unit = unit
    self.block = block
    self.direction = direction
    self.byteCount = byteCount
    self.context = context
  }
}

/// Sense data as they came, at most 20 bytes; those behind `byteCount` are 0.
public struct StorageSense: Hashable, Sendable {
  /// Bytes 0–7, 8–15 and 16–19, read little-endian.
  public internal(set) var low: UInt64 = 0
  public internal(set) var high: UInt64 = 0
  public internal(set) var last: UInt32 = 0
  public internal(set) var byteCount: UInt8 = 0

  init() {}

  init(_ block: SCSIRequestBlock) {
    let count = min(Int(block.senseLength), SCSIRequestBlock.senseSize)
    byteCount = UInt8(truncatingIfNeeded: count)
    low = count >= 8 ? block.low : block.low & ((1 &<< UInt64(count &* 8)) &- 1)
    let second = count &- 8
    high = second >= 8 ? block.high : second <= 0 ? 0 : block.high & ((1 &<< UInt64(second &* 8)) &- 1)
    let third = count &- 16
    last = third >= 4 ? block.last : third <= 0 ? 0 : block.last & ((1 &<< UInt32(third &* 8)) &- 1)
  }
}

/// How a command ended.
public struct StorageCompletion: Hashable, Sendable {
  public enum Verdict: Hashable, Sendable {
    case success
    /// The device says no, and mostly why.
    case deviceError(SCSIStatus, SenseData?)
    /// There is no such unit (any more).
    case noUnit
    /// Given up by the host: worth another try.
    case aborted
    /// The adapter failed, or said something that makes no sense.
    case adapterError(SRBStatus)
  }

  public let context: UInt64
  public let unit: UInt8
  public let verdict: Verdict
  /// With a device's error, what the host sent as sense data, for a SCSI layer that reads them itself.
  public var rawSense = StorageSense()
  /// Bytes that were moved, never more than were asked for; 0 with anything but a success.
  public let byteCount: UInt32
}

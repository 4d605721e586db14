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
  /// Bytes that were moved, never more than were asked for; 0 with anything but a success.
  public let byteCount: UInt32
}

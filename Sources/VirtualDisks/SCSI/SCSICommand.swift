// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// A command as it reaches a unit.
public struct SCSICommand: Sendable {
  public var block: SCSICommandBlock
  /// Bytes of the sender's buffer, in whichever direction; 0 when there is none.
  public var bufferByteCount: UInt32
  /// Which units the controller has, by number: what REPORT LUNS answers.
  public var units: SCSIUnitSet

  @inlinable
  public init(_ block: SCSICommandBlock, bufferByteCount: UInt32 = 0, units: SCSIUnitSet = SCSIUnitSet(rawValue: 1)) {
    self.block = block
    self.bufferByteCount = bufferByteCount
    self.units = units
  }
}

/// Units 0–63 of a controller, a bit each.
public struct SCSIUnitSet: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public func contains(_ unit: UInt8) -> Bool { unit < 64 && rawValue >> UInt64(unit) & 1 != 0 }
  public mutating func insert(_ unit: UInt8) { if unit < 64 { rawValue |= 1 << UInt64(unit) } }
  public mutating func remove(_ unit: UInt8) { if unit < 64 { rawValue &= ~(1 << UInt64(unit)) } }
  public var count: Int { rawValue.nonzeroBitCount }
}

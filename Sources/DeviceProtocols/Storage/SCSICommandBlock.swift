// SPDX-License-Identifier: Apache-2.0

/// A SCSI command descriptor block of up to 16 bytes, by value. Longer ones do not fit into the protocol.
///
/// Fields are big-endian, as in the SCSI standards. Bytes behind the end read 0, so a command that is shorter than its
/// operation code wants is never read beyond its end.
public struct SCSICommandBlock: Hashable, Sendable {
  /// Bytes 0–7 and 8–15, read little-endian.
  public var low: UInt64
  public var high: UInt64
  /// 0…16.
  public var byteCount: Int

  @inlinable
  public init(low: UInt64, high: UInt64, byteCount: Int) {
    let count = byteCount < 0 ? 0 : byteCount > 16 ? 16 : byteCount
    self.low = count >= 8 ? low : low & ((1 &<< UInt64(count &* 8)) &- 1)
    self.high = count >= 16 ? high : count <= 8 ? 0 : high & ((1 &<< UInt64((count &- 8) &* 8)) &- 1)
    self.byteCount = count
  }

  /// `byteCount` zero bytes behind the operation code.
  @inlinable
  public init(_ code: SCSIOperation, byteCount: Int) {
    self.init(low: UInt64(code.rawValue), high: 0, byteCount: byteCount)
  }

  @inlinable public var operation: SCSIOperation { SCSIOperation(rawValue: UInt8(truncatingIfNeeded: low)) }

  @inlinable
  public subscript(index: Int) -> UInt8 {
    get {
      if index < 0 || index > 15 { return 0 }
      return UInt8(truncatingIfNeeded: (index < 8 ? low : high) &>> UInt64((index & 7) &* 8))
    }
    set {
      if index < 0 || index >= byteCount { return }
      let shift = UInt64((index & 7) &* 8)
      let mask: UInt64 = 0xFF &<< shift
      if index < 8 {
        low = low & ~mask | UInt64(newValue) &<< shift
      } else {
        high = high & ~mask | UInt64(newValue) &<< shift
      }
    }
  }

  @inlinable public func uint16(at index: Int) -> UInt16 { UInt16(self[index]) &<< 8 | UInt16(self[index &+ 1]) }
  @inlinable public func uint24(at index: Int) -> UInt32 { UInt32(self[index]) &<< 16 | UInt32(uint16(at: index &+ 1)) }
  @inlinable public func uint32(at index: Int) -> UInt32 {
    UInt32(uint16(at: index)) &<< 16 | UInt32(uint16(at: index &+ 2))
  }
  @inlinable public func uint64(at index: Int) -> UInt64 {
    UInt64(uint32(at: index)) &<< 32 | UInt64(uint32(at: index &+ 4))
  }

  @inlinable
  public mutating func set(_ value: UInt16, at index: Int) {
    self[index] = UInt8(truncatingIfNeeded: value &>> 8)
    self[index &+ 1] = UInt8(truncatingIfNeeded: value)
  }

  @inlinable
  public mutating func set(_ value: UInt32, at index: Int) {
    set(UInt16(truncatingIfNeeded: value &>> 16), at: index)
    set(UInt16(truncatingIfNeeded: value), at: index &+ 2)
  }

  @inlinable
  public mutating func set(_ value: UInt64, at index: Int) {
    set(UInt32(truncatingIfNeeded: value &>> 32), at: index)
    set(UInt32(truncatingIfNeeded: value), at: index &+ 4)
  }
}

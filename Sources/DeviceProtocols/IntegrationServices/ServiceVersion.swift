// SPDX-License-Identifier: Apache-2.0

/// A framework or message version of an integration service: two u16 on the wire, major first.
public struct ServiceVersion: RawRepresentable, Hashable, Comparable, Sendable {
  /// Major in the high half, minor in the low half, so that versions compare as numbers.
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable public init(_ major: UInt16, _ minor: UInt16) {
    rawValue = UInt32(major) << 16 | UInt32(minor)
  }

  /// From its four bytes on the wire, read as one number.
  @inlinable public init(wireValue: UInt32) { rawValue = wireValue &<< 16 | wireValue &>> 16 }
  /// Its four bytes on the wire as one number.
  @inlinable public var wireValue: UInt32 { rawValue &<< 16 | rawValue &>> 16 }

  @inlinable public var major: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
  @inlinable public var minor: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

  @inlinable public static func < (a: ServiceVersion, b: ServiceVersion) -> Bool { a.rawValue < b.rawValue }
}

// SPDX-License-Identifier: Apache-2.0

/// Why a device ended a command with CHECK CONDITION: fixed-format sense data, 18 bytes (SPC-4, 4.5.3).
public struct SenseData: Hashable, Sendable {
  public static let wireSize = 18

  public var key: SenseKey
  public var additional: AdditionalSense
  /// Bytes 3–6 with the valid bit: the block at which it happened, when there is one and it fits.
  public var information: UInt32?

  @inlinable
  public init(_ key: SenseKey, _ additional: AdditionalSense, information: UInt32? = nil) {
    self.key = key
    self.additional = additional
    self.information = information
  }

  /// Bytes 0–7, read little-endian: response code 0x70 with the valid bit, key @2, information @3, 10 more bytes @7.
  @inlinable public var low: UInt64 {
    let valid: UInt64 = information == nil ? 0 : 0x80
    return 0x70 | valid | UInt64(key.rawValue & 0xF) &<< 16 | UInt64((information ?? 0).byteSwapped) &<< 24 | 10 &<< 56
  }

  /// Bytes 8–15: additional sense code and qualifier at 12 and 13. Bytes 16 and 17 are 0.
  @inlinable public var high: UInt64 { UInt64(additional.code) &<< 32 | UInt64(additional.qualifier) &<< 40 }

  /// Reads what a host answered, of which `byteCount` bytes are there, in either format; nil when it says nothing.
  @inlinable
  public init?(low: UInt64, high: UInt64, byteCount: Int) {
    guard byteCount >= 4 else { return nil }
    switch low & 0x7F {
    case 0x70, 0x71:
      guard byteCount >= 14 else { return nil }
      key = SenseKey(rawValue: UInt8(truncatingIfNeeded: low &>> 16) & 0xF)
      additional = AdditionalSense(
        UInt8(truncatingIfNeeded: high &>> 32), UInt8(truncatingIfNeeded: high &>> 40))
      information = low & 0x80 == 0 ? nil : UInt32(truncatingIfNeeded: low &>> 24).byteSwapped
    case 0x72, 0x73:
      key = SenseKey(rawValue: UInt8(truncatingIfNeeded: low &>> 8) & 0xF)
      additional = AdditionalSense(UInt8(truncatingIfNeeded: low &>> 16), UInt8(truncatingIfNeeded: low &>> 24))
      information = nil
    default: return nil
    }
  }
}

/// The coarse class of what went wrong.
public struct SenseKey: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  @inlinable public static var noSense: Self { Self(rawValue: 0) }
  @inlinable public static var notReady: Self { Self(rawValue: 2) }
  @inlinable public static var mediumError: Self { Self(rawValue: 3) }
  @inlinable public static var hardwareError: Self { Self(rawValue: 4) }
  @inlinable public static var illegalRequest: Self { Self(rawValue: 5) }
  @inlinable public static var unitAttention: Self { Self(rawValue: 6) }
  @inlinable public static var dataProtect: Self { Self(rawValue: 7) }
  @inlinable public static var abortedCommand: Self { Self(rawValue: 0xB) }
  @inlinable public static var miscompare: Self { Self(rawValue: 0xE) }
}

/// Additional sense code and qualifier.
public struct AdditionalSense: Hashable, Sendable {
  public var code: UInt8
  public var qualifier: UInt8

  @inlinable
  public init(_ code: UInt8, _ qualifier: UInt8) {
    self.code = code
    self.qualifier = qualifier
  }

  @inlinable public static var none: Self { Self(0, 0) }
  @inlinable public static var writeError: Self { Self(0x0C, 0x00) }
  @inlinable public static var unrecoveredReadError: Self { Self(0x11, 0x00) }
  @inlinable public static var parameterListLength: Self { Self(0x1A, 0x00) }
  @inlinable public static var miscompareDuringVerify: Self { Self(0x1D, 0x00) }
  @inlinable public static var invalidOperation: Self { Self(0x20, 0x00) }
  @inlinable public static var blockOutOfRange: Self { Self(0x21, 0x00) }
  @inlinable public static var invalidFieldInCommand: Self { Self(0x24, 0x00) }
  @inlinable public static var invalidFieldInParameters: Self { Self(0x26, 0x00) }
  @inlinable public static var writeProtected: Self { Self(0x27, 0x00) }
  @inlinable public static var spaceAllocationFailed: Self { Self(0x27, 0x07) }
  @inlinable public static var mediumMayHaveChanged: Self { Self(0x28, 0x00) }
  @inlinable public static var resetOccurred: Self { Self(0x29, 0x00) }
  /// Linux reads the capacity again.
  @inlinable public static var capacityChanged: Self { Self(0x2A, 0x09) }
  @inlinable public static var savingNotSupported: Self { Self(0x39, 0x00) }
  @inlinable public static var mediumNotPresent: Self { Self(0x3A, 0x00) }
  @inlinable public static var mediumNotPresentTrayOpen: Self { Self(0x3A, 0x02) }
  /// Linux scans the unit again, as it does for all of 3F but 03 and 0E.
  @inlinable public static var operatingConditionsChanged: Self { Self(0x3F, 0x00) }
  /// Linux prints a warning and does nothing.
  @inlinable public static var reportedUnitsChanged: Self { Self(0x3F, 0x0E) }
  @inlinable public static var internalFailure: Self { Self(0x44, 0x00) }
  @inlinable public static var mediumRemovalPrevented: Self { Self(0x53, 0x02) }
}

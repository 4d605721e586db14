// SPDX-License-Identifier: Apache-2.0

/// Why a device ended a command with CHECK CONDITION (SPC-4, 4.5): 8 to 20 bytes, in one of two formats.
public struct SenseData: Hashable, Sendable {
  public enum Format: UInt8, Hashable, Sendable {
    /// 18 bytes. Room for 32 bits of information.
    case fixed
    /// 8 bytes, and 12 for information of 64 bits.
    case descriptors
  }

  public static let largestSize = 20

  public var key: SenseKey
  public var additional: AdditionalSense
  /// The block at which it happened, when there is one. The fixed format has none that needs more than 32 bits.
  public var information: UInt64?
  public var format: Format

  @inlinable
  public init(
    _ key: SenseKey, _ additional: AdditionalSense, information: UInt64? = nil, format: Format = .fixed
  ) {
    self.key = key
    self.additional = additional
    self.information = information
    self.format = format
  }

  @inlinable public var byteCount: Int {
    switch format {
    case .fixed: 18
    case .descriptors: information == nil ? 8 : 20
    }
  }

  /// What the fixed format has room for.
  @inlinable var shortInformation: UInt32? { information.flatMap { UInt32(exactly: $0) } }

  /// Bytes 0–7, read little-endian. Fixed: response code 0x70 with the valid bit, key @2, information @3, 10 more bytes
  /// @7. Descriptors: response code 0x72, key, additional code and qualifier, bytes of descriptors @7.
  @inlinable public var low: UInt64 {
    let key = UInt64(key.rawValue & 0xF)
    guard format == .fixed else {
      return 0x72 | key &<< 8 | UInt64(additional.code) &<< 16 | UInt64(additional.qualifier) &<< 24
        | (information == nil ? 0 : 12 &<< 56)
    }
    let short = shortInformation
    let valid: UInt64 = short == nil ? 0 : 0x80
    return 0x70 | valid | key &<< 16 | UInt64((short ?? 0).byteSwapped) &<< 24 | 10 &<< 56
  }

  /// Bytes 8–15. Fixed: additional sense code and qualifier at 12 and 13. Descriptors: type 0 of 10 more bytes, the valid
  /// bit @10, information @12.
  @inlinable public var high: UInt64 {
    guard format == .descriptors else { return UInt64(additional.code) &<< 32 | UInt64(additional.qualifier) &<< 40 }
    guard let information else { return 0 }
    return 0x80_0A00 | UInt64(UInt32(truncatingIfNeeded: information &>> 32).byteSwapped) &<< 32
  }

  /// Bytes 16–19. Fixed: 0. Descriptors: the rest of the information.
  @inlinable public var last: UInt32 {
    format == .descriptors ? UInt32(truncatingIfNeeded: information ?? 0).byteSwapped : 0
  }

  /// Reads what a host answered, of which `byteCount` bytes are there, in either format; nil when it says nothing.
  @inlinable
  public init?(low: UInt64, high: UInt64, last: UInt32 = 0, byteCount: Int) {
    guard byteCount >= 4 else { return nil }
    information = nil
    switch low & 0x7F {
    case 0x70, 0x71:
      guard byteCount >= 14 else { return nil }
      format = .fixed
      key = SenseKey(rawValue: UInt8(truncatingIfNeeded: low &>> 16) & 0xF)
      additional = AdditionalSense(
        UInt8(truncatingIfNeeded: high &>> 32), UInt8(truncatingIfNeeded: high &>> 40))
      if low & 0x80 != 0 { information = UInt64(UInt32(truncatingIfNeeded: low &>> 24).byteSwapped) }
    case 0x72, 0x73:
      format = .descriptors
      key = SenseKey(rawValue: UInt8(truncatingIfNeeded: low &>> 8) & 0xF)
      additional = AdditionalSense(UInt8(truncatingIfNeeded: low &>> 16), UInt8(truncatingIfNeeded: low &>> 24))
      // There is room for one descriptor that has information.
      if byteCount >= 20, low &>> 56 >= 12, high & 0x80_FFFF == 0x80_0A00 {
        information =
          UInt64(UInt32(truncatingIfNeeded: high &>> 32).byteSwapped) &<< 32 | UInt64(last.byteSwapped)
      }
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
  /// A disc of another kind than the command is for.
  @inlinable public static var incompatibleMedium: Self { Self(0x30, 0x02) }
  @inlinable public static var savingNotSupported: Self { Self(0x39, 0x00) }
  @inlinable public static var mediumNotPresent: Self { Self(0x3A, 0x00) }
  @inlinable public static var mediumNotPresentTrayOpen: Self { Self(0x3A, 0x02) }
  /// Linux scans the unit again, as it does for all of 3F but 03 and 0E.
  @inlinable public static var operatingConditionsChanged: Self { Self(0x3F, 0x00) }
  /// Linux prints a warning and does nothing.
  @inlinable public static var reportedUnitsChanged: Self { Self(0x3F, 0x0E) }
  @inlinable public static var internalFailure: Self { Self(0x44, 0x00) }
  @inlinable public static var mediumRemovalPrevented: Self { Self(0x53, 0x02) }
  @inlinable public static var illegalModeForTrack: Self { Self(0x64, 0x00) }
}

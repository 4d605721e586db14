// SPDX-License-Identifier: Apache-2.0

/// How the adapter, as opposed to the device, ended a request. Byte 14 of the packet.
///
/// Numbers: SRB_STATUS_* in drivers/scsi/storvsc_drv.c of Linux 6.12. What is not in the list of 6.1 counts there as
/// success of no bytes, which for a SYNCHRONIZE CACHE is success: 6.1 knows `success`, `aborted`, `error`,
/// `invalidRequest`, `dataOverrun` and `invalidUnit`.
public struct SRBStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  @inlinable public static var pending: Self { Self(rawValue: 0) }
  @inlinable public static var success: Self { Self(rawValue: 0x01) }
  @inlinable public static var aborted: Self { Self(rawValue: 0x02) }
  @inlinable public static var error: Self { Self(rawValue: 0x04) }
  @inlinable public static var invalidRequest: Self { Self(rawValue: 0x06) }
  @inlinable public static var timeout: Self { Self(rawValue: 0x09) }
  @inlinable public static var busReset: Self { Self(rawValue: 0x0E) }
  @inlinable public static var dataOverrun: Self { Self(rawValue: 0x12) }
  /// Linux removes the unit.
  @inlinable public static var invalidUnit: Self { Self(rawValue: 0x20) }
  @inlinable public static var internalError: Self { Self(rawValue: 0x30) }

  /// Bit 7: the answer carries sense data.
  @inlinable public static var senseFlag: UInt8 { 0x80 }

  @inlinable public var hasSense: Bool { rawValue & Self.senseFlag != 0 }
  @inlinable public var withSense: Self { Self(rawValue: rawValue | Self.senseFlag) }
  /// Without the flags of bits 6 (the adapter's queue is frozen) and 7.
  @inlinable public var code: Self { Self(rawValue: rawValue & 0x3F) }
}

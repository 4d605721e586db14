// SPDX-License-Identifier: Apache-2.0

/// The operation code of a SCSI command: its byte 0. Those that a virtual disk or DVD knows.
///
/// Numbers: SPC-4, SBC-3 and MMC-6; the same in include/scsi/scsi_proto.h of Linux.
public struct SCSIOperation: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  @inlinable public static var testUnitReady: Self { Self(rawValue: 0x00) }
  @inlinable public static var requestSense: Self { Self(rawValue: 0x03) }
  @inlinable public static var read6: Self { Self(rawValue: 0x08) }
  @inlinable public static var write6: Self { Self(rawValue: 0x0A) }
  @inlinable public static var inquiry: Self { Self(rawValue: 0x12) }
  @inlinable public static var modeSelect6: Self { Self(rawValue: 0x15) }
  @inlinable public static var modeSense6: Self { Self(rawValue: 0x1A) }
  @inlinable public static var startStopUnit: Self { Self(rawValue: 0x1B) }
  @inlinable public static var preventAllowRemoval: Self { Self(rawValue: 0x1E) }
  @inlinable public static var readCapacity10: Self { Self(rawValue: 0x25) }
  @inlinable public static var read10: Self { Self(rawValue: 0x28) }
  @inlinable public static var write10: Self { Self(rawValue: 0x2A) }
  @inlinable public static var verify10: Self { Self(rawValue: 0x2F) }
  @inlinable public static var synchronizeCache10: Self { Self(rawValue: 0x35) }
  @inlinable public static var writeSame10: Self { Self(rawValue: 0x41) }
  @inlinable public static var unmap: Self { Self(rawValue: 0x42) }
  @inlinable public static var readTableOfContents: Self { Self(rawValue: 0x43) }
  @inlinable public static var getConfiguration: Self { Self(rawValue: 0x46) }
  @inlinable public static var getEventStatus: Self { Self(rawValue: 0x4A) }
  @inlinable public static var readDiscInformation: Self { Self(rawValue: 0x51) }
  @inlinable public static var readTrackInformation: Self { Self(rawValue: 0x52) }
  @inlinable public static var modeSelect10: Self { Self(rawValue: 0x55) }
  @inlinable public static var modeSense10: Self { Self(rawValue: 0x5A) }
  @inlinable public static var read16: Self { Self(rawValue: 0x88) }
  @inlinable public static var write16: Self { Self(rawValue: 0x8A) }
  @inlinable public static var verify16: Self { Self(rawValue: 0x8F) }
  @inlinable public static var synchronizeCache16: Self { Self(rawValue: 0x91) }
  @inlinable public static var writeSame16: Self { Self(rawValue: 0x93) }
  /// READ CAPACITY (16) is service action 0x10 of it.
  @inlinable public static var serviceActionIn16: Self { Self(rawValue: 0x9E) }
  @inlinable public static var reportUnits: Self { Self(rawValue: 0xA0) }
  /// REPORT SUPPORTED OPERATION CODES is service action 0x0C of it.
  @inlinable public static var maintenanceIn: Self { Self(rawValue: 0xA3) }
  @inlinable public static var read12: Self { Self(rawValue: 0xA8) }
  @inlinable public static var write12: Self { Self(rawValue: 0xAA) }
  @inlinable public static var readDVDStructure: Self { Self(rawValue: 0xAD) }
  @inlinable public static var verify12: Self { Self(rawValue: 0xAF) }
  @inlinable public static var readCD: Self { Self(rawValue: 0xBE) }
}

// SPDX-License-Identifier: Apache-2.0

/// What a vstor packet asks for or says, u32 @0.
///
/// Numbers: `vstor_packet_operation` in drivers/scsi/storvsc_drv.c of Linux 6.1 and 6.12.
public struct StorageOperation: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Host: the answer to every request of the guest, whatever it asked for.
  @inlinable public static var completion: Self { Self(rawValue: 1) }
  /// Host, unsolicited: a device is gone. Linux does the same as for `enumerateBus`.
  @inlinable public static var removeDevice: Self { Self(rawValue: 2) }
  @inlinable public static var execute: Self { Self(rawValue: 3) }
  @inlinable public static var resetUnit: Self { Self(rawValue: 4) }
  @inlinable public static var resetAdapter: Self { Self(rawValue: 5) }
  /// The only one of the three resets that Linux sends.
  @inlinable public static var resetBus: Self { Self(rawValue: 6) }
  @inlinable public static var beginInitialization: Self { Self(rawValue: 7) }
  @inlinable public static var endInitialization: Self { Self(rawValue: 8) }
  @inlinable public static var queryVersion: Self { Self(rawValue: 9) }
  @inlinable public static var queryProperties: Self { Self(rawValue: 10) }
  /// Host, unsolicited: look which devices are there.
  @inlinable public static var enumerateBus: Self { Self(rawValue: 11) }
  /// Names of a Fibre Channel adapter, which is never offered.
  @inlinable public static var fibreChannelNames: Self { Self(rawValue: 12) }
  @inlinable public static var createSubChannels: Self { Self(rawValue: 13) }
}

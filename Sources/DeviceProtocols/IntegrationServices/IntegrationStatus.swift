// SPDX-License-Identifier: Apache-2.0

/// The result code of an integration message: an HRESULT, zero for success.
///
/// Names after include/uapi/linux/hyperv.h of Linux 6.1. A peer may send any other value.
public struct IntegrationStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable public static var ok: Self { Self(rawValue: 0) }
  /// E_FAIL: what Linux answers for every failure that has no code of its own.
  @inlinable public static var failure: Self { Self(rawValue: 0x8000_4005) }
  /// ERROR_NO_MORE_ITEMS: end of an enumeration; also Linux's answer for a key that is not there.
  @inlinable public static var noMoreItems: Self { Self(rawValue: 0x8007_0103) }
  @inlinable public static var notSupported: Self { Self(rawValue: 0x8007_0032) }
  @inlinable public static var fileExists: Self { Self(rawValue: 0x8007_0050) }
  @inlinable public static var invalidArgument: Self { Self(rawValue: 0x8007_0057) }
  @inlinable public static var diskFull: Self { Self(rawValue: 0x8007_0070) }
  @inlinable public static var machineLocked: Self { Self(rawValue: 0x8007_04F7) }
  @inlinable public static var deviceNotConnected: Self { Self(rawValue: 0x8007_048F) }
  /// WBEM_E_NOT_FOUND: no network adapter with the given identifier.
  @inlinable public static var adapterNotFound: Self { Self(rawValue: 0x8004_1002) }
}

// SPDX-License-Identifier: Apache-2.0

/// How an NVSP request ended.
public struct NVSPStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var success: Self { Self(rawValue: 1) }
  @inlinable public static var failure: Self { Self(rawValue: 2) }
  @inlinable public static var versionTooNew: Self { Self(rawValue: 3) }
  @inlinable public static var versionTooOld: Self { Self(rawValue: 4) }
  @inlinable public static var invalidPacket: Self { Self(rawValue: 5) }
  @inlinable public static var busy: Self { Self(rawValue: 6) }
  @inlinable public static var unsupportedVersion: Self { Self(rawValue: 7) }
}

// SPDX-License-Identifier: Apache-2.0

/// A version of the protocol between network adapter and switch: major in the high half, minor in the low one.
public struct NVSPVersion: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Windows Server 2008: buffers and RNDIS, nothing else.
  @inlinable public static var v1: Self { Self(rawValue: 0x2) }
  /// Windows Server 2008 R2: the configuration message.
  @inlinable public static var v2: Self { Self(rawValue: 0x30002) }
  /// Windows 8 beta: virtual functions.
  @inlinable public static var v4: Self { Self(rawValue: 0x40000) }
  /// Windows Server 2012: sub-channels.
  @inlinable public static var v5: Self { Self(rawValue: 0x50000) }
  @inlinable public static var v6: Self { Self(rawValue: 0x60000) }
  /// Windows Server 2019: receive coalescing.
  @inlinable public static var v6_1: Self { Self(rawValue: 0x60001) }

  /// Whether both ends know this version.
  @inlinable public var isKnown: Bool {
    switch self {
    case .v1, .v2, .v4, .v5, .v6, .v6_1: true
    default: false
    }
  }

  @inlinable public var hasConfiguration: Bool { self >= .v2 }
  @inlinable public var hasSubChannels: Bool { self >= .v5 }
  @inlinable public var hasCoalescing: Bool { self >= .v6_1 }
  /// The NDIS version that goes with it, minor in the low half: 6.1, from version 5 on 6.30.
  @inlinable public var ndisVersion: UInt32 { self >= .v5 ? 0x0006_001E : 0x0006_0001 }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

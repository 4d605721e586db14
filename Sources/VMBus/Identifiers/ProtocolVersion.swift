// SPDX-License-Identifier: Apache-2.0

/// A version of the VMBus protocol: major in the upper, minor in the lower 16 bits. The peer may name any number.
public struct ProtocolVersion: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
  @inlinable public init(major: UInt16, minor: UInt16) { rawValue = UInt32(major) << 16 | UInt32(minor) }

  @inlinable public var major: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
  @inlinable public var minor: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

  public static let v0_13 = ProtocolVersion(rawValue: 0x0000_000D)
  public static let v1_1 = ProtocolVersion(rawValue: 0x0001_0001)
  public static let v2_4 = ProtocolVersion(rawValue: 0x0002_0004)
  /// Unload and reconnect; the target processor is honoured.
  public static let v3_0 = ProtocolVersion(rawValue: 0x0003_0000)
  public static let v4_0 = ProtocolVersion(rawValue: 0x0004_0000)
  /// Modify channel.
  public static let v4_1 = ProtocolVersion(rawValue: 0x0004_0001)
  /// Contact on connection 4, a message connection id in the answer, no interrupt page.
  public static let v5_0 = ProtocolVersion(rawValue: 0x0005_0000)
  /// The contact names a virtual trust level.
  public static let v5_1 = ProtocolVersion(rawValue: 0x0005_0001)
  public static let v5_2 = ProtocolVersion(rawValue: 0x0005_0002)
  /// The modify-channel message is answered.
  public static let v5_3 = ProtocolVersion(rawValue: 0x0005_0003)
  /// Feature flags. Known by name only: our host refuses it.
  public static let v6_0 = ProtocolVersion(rawValue: 0x0006_0000)

  /// How many versions both our ends speak.
  public static let supportedCount = 8

  /// The versions both our ends speak, newest first: the order in which a guest asks. `nil` past the end.
  @inlinable public static func supported(at index: Int) -> ProtocolVersion? {
    switch index {
    case 0: .v5_3
    case 1: .v5_2
    case 2: .v5_1
    case 3: .v5_0
    case 4: .v4_1
    case 5: .v4_0
    case 6: .v3_0
    case 7: .v2_4
    default: nil
    }
  }

  @inlinable public var isSupported: Bool {
    switch self {
    case .v5_3, .v5_2, .v5_1, .v5_0, .v4_1, .v4_0, .v3_0, .v2_4: true
    default: false
    }
  }

  /// The contact is posted on connection 4, and the answer names the connection of all later messages.
  @inlinable public var usesMessageConnection: Bool { self >= .v5_0 }
  @inlinable public var hasModifyChannel: Bool { self >= .v4_1 }
  @inlinable public var hasModifyChannelResponse: Bool { self >= .v5_3 }
  /// Before 3.0 the host sends every message to processor 0, whatever the contact says.
  @inlinable public var honoursTargetVP: Bool { self >= .v3_0 }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

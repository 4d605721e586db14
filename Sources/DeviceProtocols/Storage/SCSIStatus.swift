// SPDX-License-Identifier: Apache-2.0

/// How a device ended a command. Byte 15 of the packet.
public struct SCSIStatus: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  @inlinable public static var good: Self { Self(rawValue: 0) }
  /// Sense data say why.
  @inlinable public static var checkCondition: Self { Self(rawValue: 2) }
  @inlinable public static var busy: Self { Self(rawValue: 8) }
}

// SPDX-License-Identifier: Apache-2.0

/// The flags byte of an integration message. Unknown bits are kept and mean nothing.
public struct IntegrationMessageFlags: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  @inlinable public static var transaction: Self { Self(rawValue: 1) }
  @inlinable public static var request: Self { Self(rawValue: 2) }
  @inlinable public static var response: Self { Self(rawValue: 4) }

  @inlinable public func contains(_ other: Self) -> Bool { rawValue & other.rawValue == other.rawValue }
  @inlinable public func union(_ other: Self) -> Self { Self(rawValue: rawValue | other.rawValue) }
}

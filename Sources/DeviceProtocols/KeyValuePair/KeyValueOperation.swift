// SPDX-License-Identifier: Apache-2.0

/// What a key-value message asks for.
public struct KeyValueOperation: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  @inlinable public static var get: Self { Self(rawValue: 0) }
  @inlinable public static var set: Self { Self(rawValue: 1) }
  @inlinable public static var delete: Self { Self(rawValue: 2) }
  @inlinable public static var enumerate: Self { Self(rawValue: 3) }
  @inlinable public static var getAddresses: Self { Self(rawValue: 4) }
  @inlinable public static var setAddresses: Self { Self(rawValue: 5) }
}

/// The registry type of a value.
public struct KeyValueType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// REG_SZ: UTF-16.
  @inlinable public static var string: Self { Self(rawValue: 1) }
  @inlinable public static var unsigned32: Self { Self(rawValue: 4) }
  @inlinable public static var unsigned64: Self { Self(rawValue: 8) }
}

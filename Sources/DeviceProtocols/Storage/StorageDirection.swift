// SPDX-License-Identifier: Apache-2.0

/// Where a request's data goes. Byte 22 of the packet.
public struct StorageDirection: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Guest to device.
  @inlinable public static var write: Self { Self(rawValue: 0) }
  /// Device to guest.
  @inlinable public static var read: Self { Self(rawValue: 1) }
  /// There is none.
  @inlinable public static var none: Self { Self(rawValue: 2) }
}

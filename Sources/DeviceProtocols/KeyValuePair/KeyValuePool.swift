// SPDX-License-Identifier: Apache-2.0

/// The five pools of key-value pairs.
public struct KeyValuePool: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Written by the administrator of the host, read by the guest.
  @inlinable public static var external: Self { Self(rawValue: 0) }
  /// Written by the guest, read by the host.
  @inlinable public static var guest: Self { Self(rawValue: 1) }
  /// Facts about the guest that its daemon makes up when asked; they can only be enumerated.
  @inlinable public static var automatic: Self { Self(rawValue: 2) }
  /// The host's facts about itself and the virtual machine, written by the host without being asked.
  @inlinable public static var automaticExternal: Self { Self(rawValue: 3) }
  @inlinable public static var automaticInternal: Self { Self(rawValue: 4) }

  @inlinable public static var count: UInt8 { 5 }
}

// SPDX-License-Identifier: Apache-2.0

/// The number of a channel on one connection (the "relid"): 1…2047, also its event flag number. The host chooses it;
/// a guest that names one may name anything.
public struct ChannelID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// The event flags page has 2048 flags, and flag 0 is never a channel.
  public static let maximum: UInt32 = 2047

  @inlinable public var isValid: Bool { rawValue >= 1 && rawValue <= Self.maximum }
}

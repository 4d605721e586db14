// SPDX-License-Identifier: Apache-2.0

/// The name that the guest gave to a piece of memory that it shares with the host (a "guest physical address
/// descriptor list"). Linux counts up from 0xE1E10; the host must take any number.
public struct GPADLID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

// SPDX-License-Identifier: Apache-2.0

/// The number that the hypervisor gives to a virtual processor.
public struct VPIndex: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// As the target of a channel: no interrupts for it.
  public static let none = VPIndex(0xFFFF_FFFF)
}

// SPDX-License-Identifier: Apache-2.0

/// The target of a post-message or signal-event hypercall: a port of the host. KVM takes 24 bits.
public struct ConnectionID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// Messages of guests below version 5.0.
  public static let legacyMessages = ConnectionID(1)
  /// The contact of guests from version 5.0 on, and the port that our host names for their later messages.
  public static let messages = ConnectionID(4)

  /// The signalling port that our host gives to a channel: unique, unlike both message ports, below 2^24.
  @inlinable public static func channel(_ id: ChannelID) -> ConnectionID { ConnectionID(0x2000 &+ id.rawValue) }
}

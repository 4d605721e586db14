// SPDX-License-Identifier: Apache-2.0

/// What kind of packet this is, u16 @0 of its descriptor.
public struct PacketType: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The payload follows the 16-byte descriptor.
  @inlinable public static var inBand: PacketType { PacketType(rawValue: 6) }
  /// Ranges of a buffer that both ends know (network receive).
  @inlinable public static var transferPages: PacketType { PacketType(rawValue: 7) }
  /// GPADL-based; no known driver uses it.
  @inlinable public static var gpadl: PacketType { PacketType(rawValue: 8) }
  /// Ranges of guest physical memory (storage, network send).
  @inlinable public static var gpaDirect: PacketType { PacketType(rawValue: 9) }
  /// The answer to the packet that had this transaction id.
  @inlinable public static var completion: PacketType { PacketType(rawValue: 11) }
}

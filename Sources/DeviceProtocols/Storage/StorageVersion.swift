// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A version of the vstor protocol: major in the high byte, minor in the low one.
public struct StorageVersion: RawRepresentable, Hashable, Comparable, Sendable {
  public static let bodySize = 4
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Windows Server 2008. No Linux driver since 4.x offers it or 4.2.
  @inlinable public static var v2_0: Self { Self(rawValue: 0x200) }
  /// Windows 7.
  @inlinable public static var v4_2: Self { Self(rawValue: 0x402) }
  /// Windows 8: longer request blocks, sub-channels.
  @inlinable public static var v5_1: Self { Self(rawValue: 0x501) }
  /// Windows 8.1.
  @inlinable public static var v6_0: Self { Self(rawValue: 0x600) }
  /// Windows 10: Linux sends WRITE SAME only with this one.
  @inlinable public static var v6_2: Self { Self(rawValue: 0x602) }

  /// Whether both ends know this version.
  @inlinable public var isKnown: Bool {
    switch self {
    case .v2_0, .v4_2, .v5_1, .v6_0, .v6_2: true
    default: false
    }
  }

  /// Bytes of a request block, and what its length field says.
  @inlinable public var requestBlockSize: Int {
    self >= .v5_1 ? SCSIRequestBlock.wireSize : SCSIRequestBlock.oldWireSize
  }
  @inlinable public var hasSubChannels: Bool { self >= .v5_1 }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// The body of QUERY_PROTOCOL_VERSION: u16 version @12 of the packet, u16 revision @14, which says nothing.
  public init(decodingBodyOf packet: RawSpan) throws(WireError) {
    rawValue = try packet.read(UInt16.self, at: StorageHeader.wireSize)
    _ = try packet.read(UInt16.self, at: StorageHeader.wireSize &+ 2)
  }

  @_lifetime(packet: copy packet)
  public func encode(intoBodyOf packet: inout MutableRawSpan) throws(WireError) {
    try packet.write(rawValue, at: StorageHeader.wireSize)
    try packet.write(0 as UInt16, at: StorageHeader.wireSize &+ 2)
  }
}

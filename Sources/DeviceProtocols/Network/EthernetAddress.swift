// SPDX-License-Identifier: Apache-2.0

import VMBus

/// An Ethernet address, its first byte on the wire in bits 40–47.
public struct EthernetAddress: RawRepresentable, Hashable, Sendable {
  public static let wireSize = 6
  public let rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue & 0xFFFF_FFFF_FFFF }

  @inlinable
  public init(decoding bytes: RawSpan, at offset: Int) throws(WireError) {
    let high = try bytes.read(UInt16.self, at: offset).byteSwapped
    let low = try bytes.read(UInt32.self, at: offset &+ 2).byteSwapped
    rawValue = UInt64(high) &<< 32 | UInt64(low)
  }

  @inlinable @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    try bytes.write(UInt16(truncatingIfNeeded: rawValue &>> 32).byteSwapped, at: offset)
    try bytes.write(UInt32(truncatingIfNeeded: rawValue).byteSwapped, at: offset &+ 2)
  }

  /// The group bit, also of the broadcast address.
  @inlinable public var isMulticast: Bool { rawValue & 0x0100_0000_0000 != 0 }
  @inlinable public var isBroadcast: Bool { rawValue == 0xFFFF_FFFF_FFFF }
  /// What an adapter may have.
  @inlinable public var isUsable: Bool { !isMulticast && rawValue != 0 }
}

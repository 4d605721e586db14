// SPDX-License-Identifier: Apache-2.0

import VMBus

/// How an adapter can spread what it receives: `ndis_recv_scale_cap`, revision 2.
public struct ReceiveScalingCapabilities: Hashable, Sendable {
  /// DPDK wants this size to believe the number of entries.
  public static let wireSize = 18

  /// At byte 12: channels that can receive.
  public var queues: UInt32
  /// At byte 16.
  public var entries: UInt16

  @inlinable public init(queues: UInt32, entries: UInt16 = UInt16(NetworkAdapter.indirectionCount)) {
    self.queues = queues
    self.entries = entries
  }

  /// Toeplitz, over TCP and addresses of IPv4 and IPv6.
  private static let capabilities: UInt32 = 0x301

  public init(decoding bytes: RawSpan) throws(WireError) {
    guard try bytes.read(UInt8.self, at: 0) == NDISObject.receiveScaleCapabilities else { throw .invalid(offset: 0) }
    queues = try bytes.read(UInt32.self, at: 12)
    entries = bytes.byteCount >= 18 ? try bytes.read(UInt16.self, at: 16) : UInt16(NetworkAdapter.indirectionCount)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    try bytes.write(NDISObject.receiveScaleCapabilities, at: offset)
    try bytes.write(2 as UInt8, at: offset &+ 1)
    try bytes.write(UInt16(Self.wireSize), at: offset &+ 2)
    try bytes.write(Self.capabilities, at: offset &+ 4)
    try bytes.write(1 as UInt32, at: offset &+ 8)
    try bytes.write(queues, at: offset &+ 12)
    try bytes.write(entries, at: offset &+ 16)
  }
}

/// How a guest wants what it receives spread: `ndis_recv_scale_param`, revision 2.
/// Table and key lie behind it.
public struct ReceiveScalingParameters: Hashable, Sendable {
  public static let wireSize = 40

  /// At byte 4.
  public var flags: UInt16
  /// At byte 8: function in the low byte, what is hashed above.
  public var hash: ReceiveHash
  /// Bytes of the table and of the key in what they were decoded from.
  public var table: RNDISPlace
  public var key: RNDISPlace

  @inlinable public static var hashUnchanged: UInt16 { 2 }
  @inlinable public static var tableUnchanged: UInt16 { 4 }
  @inlinable public static var keyUnchanged: UInt16 { 8 }
  @inlinable public static var disable: UInt16 { 0x10 }

  @inlinable public init(flags: UInt16, hash: ReceiveHash, table: RNDISPlace, key: RNDISPlace) {
    self.flags = flags
    self.hash = hash
    self.table = table
    self.key = key
  }

  @inlinable public var isDisabling: Bool { flags & Self.disable != 0 || hash.function == 0 }

  /// Places of size 0 are `none`; the others lie inside `bytes`. While disabling, places are not looked at.
  public init(decoding bytes: RawSpan) throws(WireError) {
    guard try bytes.read(UInt8.self, at: 0) == NDISObject.receiveScaleParameters else { throw .invalid(offset: 0) }
    flags = try bytes.read(UInt16.self, at: 4)
    hash = ReceiveHash(rawValue: try bytes.read(UInt32.self, at: 8))
    table = .none
    key = .none
    if flags & Self.disable != 0 { return }
    table = try Self.place(countAt: 12, offsetAt: 16, in: bytes)
    key = try Self.place(countAt: 20, offsetAt: 24, in: bytes)
  }

  private static func place(countAt: Int, offsetAt: Int, in bytes: RawSpan) throws(WireError) -> RNDISPlace {
    let count = try bytes.read(UInt16.self, at: countAt)
    let offset = try bytes.read(UInt32.self, at: offsetAt)
    if count == 0 { return .none }
    guard UInt64(offset) &+ UInt64(count) <= UInt64(bytes.byteCount) else { throw .invalid(offset: offsetAt) }
    return RNDISPlace(offset: Int(offset), byteCount: Int(count))
  }

  /// The fixed part; table and key go to their places.
  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    try bytes.write(NDISObject.receiveScaleParameters, at: offset)
    try bytes.write(2 as UInt8, at: offset &+ 1)
    try bytes.write(UInt16(Self.wireSize), at: offset &+ 2)
    try bytes.write(flags, at: offset &+ 4)
    try bytes.write(hash.rawValue, at: offset &+ 8)
    try bytes.write(UInt16(truncatingIfNeeded: table.byteCount), at: offset &+ 12)
    try bytes.write(UInt32(truncatingIfNeeded: table.offset), at: offset &+ 16)
    try bytes.write(UInt16(truncatingIfNeeded: key.byteCount), at: offset &+ 20)
    try bytes.write(UInt32(truncatingIfNeeded: key.offset), at: offset &+ 24)
  }
}

/// What goes into a receive hash.
public struct ReceiveHash: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// 1 is Toeplitz, the only one.
  @inlinable public var function: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  @inlinable public var hasIPv4: Bool { rawValue & 0x100 != 0 }
  @inlinable public var hasTCPIPv4: Bool { rawValue & 0x200 != 0 }
  @inlinable public var hasIPv6: Bool { rawValue & 0x400 != 0 }
  @inlinable public var hasTCPIPv6: Bool { rawValue & 0x1000 != 0 }

  /// Toeplitz over addresses, and over the ports of TCP: what Linux asks for.
  @inlinable public static var linux: Self { Self(rawValue: 0x1701) }
}

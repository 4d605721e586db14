// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What accompanies a frame: records {size u32, type u32, offset of the data u32, data}, one behind the other.
public struct PacketInformationType: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var checksum: Self { Self(rawValue: 0) }
  @inlinable public static var largeSend: Self { Self(rawValue: 2) }
  @inlinable public static var vlan: Self { Self(rawValue: 6) }
  @inlinable public static var hash: Self { Self(rawValue: 8) }
  /// The frame to which a part belongs; bit 31 marks types that are not NDIS's.
  @inlinable public static var packetID: Self { Self(rawValue: 0x8000_0001) }
}

/// The records that either end understands, each once. Of a type that comes twice the last counts.
public struct PacketInformation: Hashable, Sendable {
  /// Bytes of one record with 4 bytes of data.
  @inlinable public static var recordSize: Int { 16 }
  /// Bytes that a peer may send with one frame: all that NDIS knows. Linux and DPDK send up to 64.
  @inlinable public static var maximumBytes: Int { 512 }

  /// The raw data words, whose meaning depends on the direction.
  public var checksum: UInt32?
  public var largeSend: LargeSend?
  public var vlan: NetworkVLAN?
  public var hash: UInt32?
  public var part: PacketPart?

  @inlinable public init() {}

  @inlinable public var byteCount: Int {
    (checksum == nil ? 0 : 16) &+ (largeSend == nil ? 0 : 16) &+ (vlan == nil ? 0 : 16) &+ (hash == nil ? 0 : 16)
      &+ (part == nil ? 0 : 16)
  }

  /// Records of other types are skipped, whatever they contain.
  ///
  /// Throws for a record that is smaller than its head, larger than what is left, not a multiple of 4, or whose data are
  /// shorter than its type's: such a one makes Linux 6.1 loop for ever.
  @inlinable
  public init(decoding bytes: RawSpan) throws(WireError) {
    var at = 0
    while at < bytes.byteCount {
      let size = try bytes.read(UInt32.self, at: at)
      let type = PacketInformationType(rawValue: try bytes.read(UInt32.self, at: at &+ 4))
      let offset = try bytes.read(UInt32.self, at: at &+ 8)
      guard size >= 12, size & 3 == 0, UInt64(size) <= UInt64(bytes.byteCount &- at) else {
        throw .invalid(offset: at)
      }
      guard offset <= size else { throw .invalid(offset: at &+ 8) }
      let place = at &+ Int(offset)
      switch type {
      case .checksum, .largeSend, .vlan, .hash, .packetID:
        guard offset >= 12, size &- offset >= 4 else { throw .invalid(offset: at &+ 8) }
        let data = try bytes.read(UInt32.self, at: place)
        switch type {
        case .checksum: checksum = data
        case .largeSend: largeSend = LargeSend(rawValue: data)
        case .vlan: vlan = NetworkVLAN(rawValue: data)
        case .hash: hash = data
        default: part = PacketPart(rawValue: data)
        }
      default: break
      }
      at = at &+ Int(size)
    }
  }

  /// `byteCount` bytes from `offset` on.
  @inlinable @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    var at = offset
    if let checksum { at = try Self.record(.checksum, checksum, &bytes, at) }
    if let largeSend { at = try Self.record(.largeSend, largeSend.rawValue, &bytes, at) }
    if let vlan { at = try Self.record(.vlan, vlan.rawValue, &bytes, at) }
    if let hash { at = try Self.record(.hash, hash, &bytes, at) }
    if let part { at = try Self.record(.packetID, part.rawValue, &bytes, at) }
  }

  @inlinable @_lifetime(bytes: copy bytes)
  static func record(
    _ type: PacketInformationType, _ data: UInt32, _ bytes: inout MutableRawSpan, _ at: Int
  ) throws(WireError) -> Int {
    try bytes.write(16 as UInt64 | UInt64(type.rawValue) &<< 32, at: at)
    try bytes.write(12 as UInt64 | UInt64(data) &<< 32, at: at &+ 8)
    return at &+ 16
  }
}

/// Checksums that the guest leaves to the host.
public struct TransmitChecksum: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable
  public init(isIPv6: Bool, tcp: Bool = false, udp: Bool = false, ipHeader: Bool = false, transportOffset: Int) {
    rawValue =
      (isIPv6 ? 2 : 1) | (tcp ? 4 : 0) | (udp ? 8 : 0) | (ipHeader ? 0x10 : 0)
      | UInt32(truncatingIfNeeded: transportOffset & 0x3FF) &<< 16
  }

  @inlinable public var isIPv4: Bool { rawValue & 1 != 0 }
  @inlinable public var isIPv6: Bool { rawValue & 2 != 0 }
  @inlinable public var wantsTCP: Bool { rawValue & 4 != 0 }
  @inlinable public var wantsUDP: Bool { rawValue & 8 != 0 }
  @inlinable public var wantsIPHeader: Bool { rawValue & 0x10 != 0 }
  /// Of the TCP or UDP header from the frame's first byte; 0: not said.
  @inlinable public var transportOffset: Int { Int(rawValue &>> 16 & 0x3FF) }
}

/// What the host knows of a frame's checksums.
public struct ReceiveChecksum: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public static var tcpFailed: Self { Self(rawValue: 1) }
  @inlinable public static var udpFailed: Self { Self(rawValue: 2) }
  @inlinable public static var ipFailed: Self { Self(rawValue: 4) }
  @inlinable public static var tcpGood: Self { Self(rawValue: 8) }
  @inlinable public static var udpGood: Self { Self(rawValue: 0x10) }
  @inlinable public static var ipGood: Self { Self(rawValue: 0x20) }
  /// Good, but what stands in the frame is not the sum.
  @inlinable public static var tcpValueInvalid: Self { Self(rawValue: 0x80) }
  @inlinable public static var ipValueInvalid: Self { Self(rawValue: 0x100) }

  @inlinable public func union(_ other: Self) -> Self { Self(rawValue: rawValue | other.rawValue) }
  @inlinable public func contains(_ other: Self) -> Bool { rawValue & other.rawValue == other.rawValue }
}

/// A frame that is to be cut into segments.
public struct LargeSend: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable
  public init(segmentSize: Int, transportOffset: Int, isIPv6: Bool) {
    rawValue =
      UInt32(truncatingIfNeeded: segmentSize & 0xFFFFF) | UInt32(truncatingIfNeeded: transportOffset & 0x3FF) &<< 20
      | 0x4000_0000 | (isIPv6 ? 0x8000_0000 : 0)
  }

  /// Bytes of payload in a segment.
  @inlinable public var segmentSize: Int { Int(rawValue & 0xFFFFF) }
  /// Of the TCP header from the frame's first byte.
  @inlinable public var transportOffset: Int { Int(rawValue &>> 20 & 0x3FF) }
  /// Version 2; version 1 is IPv4 always.
  @inlinable public var isVersion2: Bool { rawValue & 0x4000_0000 != 0 }
  @inlinable public var isIPv6: Bool { rawValue & 0xC000_0000 == 0xC000_0000 }
}

/// A VLAN tag beside the frame: bits 0–2 priority, 3 drop eligible, 4–15 VLAN id.
public struct NetworkVLAN: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// From the control information of an 802.1Q tag: priority, drop eligible, id from the highest bit on.
  @inlinable public init(tag: UInt16) {
    rawValue = UInt32(tag &>> 13) | UInt32(tag &>> 12 & 1) &<< 3 | UInt32(tag & 0xFFF) &<< 4
  }

  @inlinable public var tag: UInt16 {
    UInt16(truncatingIfNeeded: (rawValue & 7) &<< 13 | (rawValue &>> 3 & 1) &<< 12 | (rawValue &>> 4 & 0xFFF))
  }
}

/// Which part of a coalesced frame a message carries: version u8 = 1, flags u8, number u16.
public struct PacketPart: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable public init(isFirst: Bool, isLast: Bool, number: UInt16) {
    rawValue = 1 | (1 | (isFirst ? 2 : 0) | (isLast ? 4 : 0)) &<< 8 | UInt32(number) &<< 16
  }

  @inlinable public var version: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  /// Whether this is a part at all.
  @inlinable public var isPart: Bool { rawValue & 0x100 != 0 }
  @inlinable public var isFirst: Bool { rawValue & 0x200 != 0 }
  @inlinable public var isLast: Bool { rawValue & 0x400 != 0 }
  @inlinable public var number: UInt16 { UInt16(truncatingIfNeeded: rawValue &>> 16) }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What an adapter takes over of TCP/IP, as `OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES` says it: `ndis_offload`, NDIS 6.0,
/// 6.1 and 6.30. Linux uses the checksums of TCP only with options, of IPv6 only with extension headers.
public struct NetworkOffloads: Hashable, Sendable {
  /// Checksums of what the guest sends, and of what it receives.
  public var transmitChecksums = true
  public var receiveChecksums = true
  /// TCP segmentation of IPv4 and IPv6: longest frame without its Ethernet header; 0 none.
  public var largeSendIPv4: UInt32 = 65535
  public var largeSendIPv6: UInt32 = 65535
  /// Several segments may arrive as one frame.
  public var receiveCoalescing = true

  @inlinable public init() {}

  /// Nothing at all: everything is the guest's own work.
  @inlinable public static var none: Self {
    var offloads = Self()
    offloads.transmitChecksums = false
    offloads.receiveChecksums = false
    offloads.largeSendIPv4 = 0
    offloads.largeSendIPv6 = 0
    offloads.receiveCoalescing = false
    return offloads
  }

  /// Bytes of the structure in revision 1, 2 and 3.
  public static func byteCount(revision: UInt8) -> Int {
    switch revision {
    case 0, 1: 112
    case 2: 144
    default: 156
    }
  }

  /// TCP, UDP and the IPv4 header, options included.
  static let checksumsIPv4: UInt32 = 0x001 | 0x004 | 0x010 | 0x040 | 0x100
  static let checksumsIPv6: UInt32 = 0x001 | 0x004 | 0x010 | 0x040
  private static let ethernet: UInt32 = 2

  public init(decoding bytes: RawSpan) throws(WireError) {
    guard try bytes.read(UInt8.self, at: 0) == NDISObject.offload else { throw .invalid(offset: 0) }
    let revision = try bytes.read(UInt8.self, at: 1)
    let size = Int(try bytes.read(UInt16.self, at: 2))
    guard revision > 0, size >= 112, size <= bytes.byteCount else { throw .invalid(offset: 2) }
    let sent4 = try bytes.read(UInt32.self, at: 8)
    let received4 = try bytes.read(UInt32.self, at: 16)
    let sent6 = try bytes.read(UInt32.self, at: 24)
    let received6 = try bytes.read(UInt32.self, at: 32)
    transmitChecksums = sent4 & 0x14 == 0x14 && sent6 & 0x15 == 0x15
    receiveChecksums = received4 & 0x14 == 0x14 && received6 & 0x14 == 0x14
    largeSendIPv4 = try bytes.read(UInt32.self, at: 80) & Self.ethernet != 0 ? try bytes.read(UInt32.self, at: 84) : 0
    largeSendIPv6 = try bytes.read(UInt32.self, at: 92) & Self.ethernet != 0 ? try bytes.read(UInt32.self, at: 96) : 0
    receiveCoalescing = false
    if revision >= 3, size >= 156 {
      let ipv4 = try bytes.read(UInt8.self, at: 144)
      let ipv6 = try bytes.read(UInt8.self, at: 145)
      receiveCoalescing = ipv4 != 0 && ipv6 != 0
    }
  }

  /// Into `byteCount(revision:)` bytes of zeros.
  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int, revision: UInt8) throws(WireError) {
    let size = Self.byteCount(revision: revision)
    try bytes.write(NDISObject.offload, at: offset)
    try bytes.write(min(max(revision, 1), 3), at: offset &+ 1)
    try bytes.write(UInt16(truncatingIfNeeded: size), at: offset &+ 2)
    if transmitChecksums {
      try bytes.write(Self.ethernet, at: offset &+ 4)
      try bytes.write(Self.checksumsIPv4, at: offset &+ 8)
      try bytes.write(Self.ethernet, at: offset &+ 20)
      try bytes.write(Self.checksumsIPv6, at: offset &+ 24)
    }
    if receiveChecksums {
      try bytes.write(Self.ethernet, at: offset &+ 12)
      try bytes.write(Self.checksumsIPv4, at: offset &+ 16)
      try bytes.write(Self.ethernet, at: offset &+ 28)
      try bytes.write(Self.checksumsIPv6, at: offset &+ 32)
    }
    if largeSendIPv4 > 0 {
      try bytes.write(Self.ethernet, at: offset &+ 80)
      try bytes.write(largeSendIPv4, at: offset &+ 84)
      try bytes.write(2 as UInt32, at: offset &+ 88)
    }
    if largeSendIPv6 > 0 {
      try bytes.write(Self.ethernet, at: offset &+ 92)
      try bytes.write(largeSendIPv6, at: offset &+ 96)
      try bytes.write(2 as UInt32, at: offset &+ 100)
      // Extension headers and TCP options.
      try bytes.write(5 as UInt32, at: offset &+ 104)
    }
    if size >= 156, receiveCoalescing {
      try bytes.write(1 as UInt8, at: offset &+ 144)
      try bytes.write(1 as UInt8, at: offset &+ 145)
    }
  }
}

/// The first four bytes of NDIS structures: type u8, revision u8, size u16.
public enum NDISObject {
  public static var `default`: UInt8 { 0x80 }
  public static var receiveScaleCapabilities: UInt8 { 0x88 }
  public static var receiveScaleParameters: UInt8 { 0x89 }
  public static var offload: UInt8 { 0xA7 }
}

/// What a guest switches on and off with `OID_TCP_OFFLOAD_PARAMETERS`. Each byte: 0 leaves it as it is.
public struct NetworkOffloadParameters: Hashable, Sendable {
  /// Bytes up to the large sends; what follows may be missing in older revisions. Linux sends 22 up to version 4.
  static let minimumSize = 15
  public static let wireSize = 28

  /// At bytes 4–8: IPv4 header, TCP and UDP over IPv4, TCP and UDP over IPv6; 1 off, 2 sent, 3 received, 4 both.
  public var ipv4Header: UInt8 = 0
  public var tcpIPv4: UInt8 = 0
  public var udpIPv4: UInt8 = 0
  public var tcpIPv6: UInt8 = 0
  public var udpIPv6: UInt8 = 0
  /// At bytes 9, 11 and 12: 1 off, 2 on.
  public var largeSendVersion1: UInt8 = 0
  public var largeSendIPv4: UInt8 = 0
  public var largeSendIPv6: UInt8 = 0
  /// At bytes 22 and 23: 1 off, 2 on.
  public var coalescingIPv4: UInt8 = 0
  public var coalescingIPv6: UInt8 = 0

  @inlinable public init() {}

  public init(decoding bytes: RawSpan) throws(WireError) {
    guard try bytes.read(UInt8.self, at: 0) == NDISObject.default else { throw .invalid(offset: 0) }
    guard bytes.byteCount >= Self.minimumSize else {
      throw .truncated(needed: Self.minimumSize, available: bytes.byteCount)
    }
    ipv4Header = try bytes.read(UInt8.self, at: 4)
    tcpIPv4 = try bytes.read(UInt8.self, at: 5)
    udpIPv4 = try bytes.read(UInt8.self, at: 6)
    tcpIPv6 = try bytes.read(UInt8.self, at: 7)
    udpIPv6 = try bytes.read(UInt8.self, at: 8)
    largeSendVersion1 = try bytes.read(UInt8.self, at: 9)
    largeSendIPv4 = try bytes.read(UInt8.self, at: 11)
    largeSendIPv6 = try bytes.read(UInt8.self, at: 12)
    if bytes.byteCount >= 24 {
      coalescingIPv4 = try bytes.read(UInt8.self, at: 22)
      coalescingIPv6 = try bytes.read(UInt8.self, at: 23)
    }
  }

  /// Revision 3, 28 bytes.
  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) throws(WireError) {
    try bytes.write(NDISObject.default, at: offset)
    try bytes.write(3 as UInt8, at: offset &+ 1)
    try bytes.write(UInt16(Self.wireSize), at: offset &+ 2)
    try bytes.write(ipv4Header, at: offset &+ 4)
    try bytes.write(tcpIPv4, at: offset &+ 5)
    try bytes.write(udpIPv4, at: offset &+ 6)
    try bytes.write(tcpIPv6, at: offset &+ 7)
    try bytes.write(udpIPv6, at: offset &+ 8)
    try bytes.write(largeSendVersion1, at: offset &+ 9)
    try bytes.write(largeSendIPv4, at: offset &+ 11)
    try bytes.write(largeSendIPv6, at: offset &+ 12)
    try bytes.write(coalescingIPv4, at: offset &+ 22)
    try bytes.write(coalescingIPv6, at: offset &+ 23)
  }
}

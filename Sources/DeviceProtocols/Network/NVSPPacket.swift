// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What accompanies RNDIS messages in either direction: where they are not in memory that the packet itself names.
///
/// Type 107 at byte 0, then the fields; 40 bytes in all.
public struct NVSPPacket: Hashable, Sendable {
  /// At byte 4: 0 data, 1 control.
  public var isControl: Bool
  /// At byte 8: section of the send buffer, or `NetworkAdapter.noSection`.
  public var section: UInt32
  /// At byte 12: bytes that are used of the section.
  public var sectionByteCount: UInt32

  @inlinable
  public init(isControl: Bool, section: UInt32 = NetworkAdapter.noSection, sectionByteCount: UInt32 = 0) {
    self.isControl = isControl
    self.section = section
    self.sectionByteCount = sectionByteCount
  }

  /// nil: another message.
  @inlinable
  public init?(decoding bytes: RawSpan) throws(WireError) {
    guard try bytes.read(UInt32.self, at: 0) == NVSPMessageType.packet.rawValue else { return nil }
    switch try bytes.read(UInt32.self, at: 4) {
    case 0: isControl = false
    case 1: isControl = true
    default: throw .invalid(offset: 4)
    }
    section = try bytes.read(UInt32.self, at: 8)
    sectionByteCount = try bytes.read(UInt32.self, at: 12)
  }

  /// Into 40 bytes of zeros.
  @inlinable @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(NVSPMessageType.packet.rawValue, at: 0)
    try bytes.write(isControl ? 1 as UInt32 : 0, at: 4)
    try bytes.write(section, at: 8)
    try bytes.write(sectionByteCount, at: 12)
  }
}

/// The answer to it, type 108, from either end: whoever sent the messages may use their memory again.
public struct NVSPPacketComplete: Hashable, Sendable {
  public var status: NVSPStatus

  @inlinable public init(_ status: NVSPStatus) { self.status = status }

  @inlinable
  public init(decoding bytes: RawSpan) throws(WireError) {
    guard try bytes.read(UInt32.self, at: 0) == NVSPMessageType.packetComplete.rawValue else {
      throw .invalid(offset: 0)
    }
    status = NVSPStatus(rawValue: try bytes.read(UInt32.self, at: 4))
  }

  /// Into 8 bytes at least.
  @inlinable @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(NVSPMessageType.packetComplete.rawValue, at: 0)
    try bytes.write(status.rawValue, at: 4)
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The fixed part of an RNDIS packet: one frame and what accompanies it. Offsets in it count from byte 8.
public struct RNDISPacket: Hashable, Sendable {
  /// Type, length and nine words.
  public static let wireSize = 44

  /// Bytes of the whole message, padding to the next one included.
  public var byteCount: UInt32
  /// At bytes 8 and 12.
  public var dataOffset: UInt32
  public var dataByteCount: UInt32
  /// At bytes 28 and 32.
  public var informationOffset: UInt32
  public var informationByteCount: UInt32

  /// The records follow the fixed part. Without any their offset is 0: Linux reports every other one as an error
  /// (`rndis_get_ppi` of 6.1).
  @inlinable
  public init(byteCount: UInt32, dataOffset: UInt32, dataByteCount: UInt32, informationByteCount: UInt32 = 0) {
    self.byteCount = byteCount
    self.dataOffset = dataOffset
    self.dataByteCount = dataByteCount
    informationOffset = informationByteCount == 0 ? 0 : 36
    self.informationByteCount = informationByteCount
  }

  /// From at least 44 bytes. `available` is what is there of this message and those behind it. Everything that this one
  /// names lies inside it then.
  @inlinable
  public init(decoding bytes: RawSpan, available: UInt64) throws(WireError) {
    guard try bytes.read(UInt32.self, at: 0) == RNDISMessageType.packet.rawValue else { throw .invalid(offset: 0) }
    byteCount = try bytes.read(UInt32.self, at: 4)
    guard byteCount >= UInt32(Self.wireSize), UInt64(byteCount) <= available else { throw .invalid(offset: 4) }
    dataOffset = try bytes.read(UInt32.self, at: 8)
    dataByteCount = try bytes.read(UInt32.self, at: 12)
    informationOffset = try bytes.read(UInt32.self, at: 28)
    informationByteCount = try bytes.read(UInt32.self, at: 32)
    let body = UInt64(byteCount) &- 8
    guard dataOffset >= 36, UInt64(dataOffset) &+ UInt64(dataByteCount) <= body else { throw .invalid(offset: 8) }
    if informationByteCount == 0 { return }
    guard informationOffset >= 36, UInt64(informationOffset) &+ UInt64(informationByteCount) <= body else {
      throw .invalid(offset: 28)
    }
  }

  @inlinable @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(UInt64(RNDISMessageType.packet.rawValue) | UInt64(byteCount) &<< 32, at: 0)
    try bytes.write(UInt64(dataOffset) | UInt64(dataByteCount) &<< 32, at: 8)
    // Out-of-band data: none.
    try bytes.write(0 as UInt64, at: 16)
    try bytes.write(UInt64(informationOffset) &<< 32, at: 24)
    try bytes.write(UInt64(informationByteCount), at: 32)
    try bytes.write(0 as UInt32, at: 40)
  }

  /// From the message's start.
  @inlinable public var dataPlace: Int { Int(dataOffset) &+ 8 }
  @inlinable public var informationPlace: Int { Int(informationOffset) &+ 8 }
}

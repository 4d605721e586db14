// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A message that sets an adapter up or that concerns all of it. What carries frames is `NVSPPacket`.
///
/// Layouts: `nvsp_message` in drivers/net/hyperv/hyperv_net.h of Linux 6.1 and 6.12; hn_nvs.h of DPDK's netvsc. Offsets
/// are the message's.
public enum NVSPMessage: Hashable, Sendable {
  /// 1: the only version that the guest offers with this message, twice.
  case initialize(minimum: NVSPVersion, maximum: NVSPVersion)
  /// 2: longest chain of memory descriptors, of no use to Linux; status.
  case initializeComplete(version: UInt32, chain: UInt32, NVSPStatus)
  /// 100
  case ndisVersion(major: UInt32, minor: UInt32)
  /// 101
  case receiveBuffer(GPADLID, id: UInt16)
  /// 102: one section always, from the buffer's first byte: bytes of a place and number of places.
  case receiveBufferComplete(NVSPStatus, sections: UInt32, NVSPReceiveSection)
  /// 103
  case revokeReceiveBuffer(id: UInt16)
  /// 104
  case sendBuffer(GPADLID, id: UInt16)
  /// 105: bytes of a section; how many there are follows from the buffer's size.
  case sendBufferComplete(NVSPStatus, sectionSize: UInt32)
  /// 106
  case revokeSendBuffer(id: UInt16)
  /// 125: bytes of the longest frame, without a tag.
  case configuration(frameSize: UInt32, NVSPCapabilities)
  /// 128
  case virtualFunction(isAllocated: Bool, serial: UInt32)
  /// 129: 0 synthetic, 1 virtual function.
  case switchDataPath(UInt32)
  /// 133 from the guest: operation 1 asks for this many.
  case requestSubChannels(operation: UInt32, count: UInt32)
  /// 133 from the host: how many there will be.
  case subChannels(NVSPStatus, count: UInt32)
  /// 134
  case sendTable(NVSPSendTable)

  /// Bytes of a message in either direction since version 6.1; sent as long for all versions. Linux 6.1 drops answers of
  /// fewer than 28.
  public static let wireSize = 40
  /// The one message that is longer.
  public static let sendTableSize = 40 + 64

  public var type: NVSPMessageType {
    switch self {
    case .initialize: .initialize
    case .initializeComplete: .initializeComplete
    case .ndisVersion: .ndisVersion
    case .receiveBuffer: .receiveBuffer
    case .receiveBufferComplete: .receiveBufferComplete
    case .revokeReceiveBuffer: .revokeReceiveBuffer
    case .sendBuffer: .sendBuffer
    case .sendBufferComplete: .sendBufferComplete
    case .revokeSendBuffer: .revokeSendBuffer
    case .configuration: .configuration
    case .virtualFunction: .virtualFunction
    case .switchDataPath: .switchDataPath
    case .requestSubChannels, .subChannels: .subChannels
    case .sendTable: .sendTable
    }
  }

  public var byteCount: Int {
    if case .sendTable = self { return Self.sendTableSize }
    return Self.wireSize
  }

  /// What a guest sends.
  public init(decodingFromGuest bytes: RawSpan) throws(WireError) {
    switch NVSPMessageType(rawValue: try bytes.read(UInt32.self, at: 0)) {
    case .initialize:
      self = .initialize(
        minimum: NVSPVersion(rawValue: try bytes.read(UInt32.self, at: 4)),
        maximum: NVSPVersion(rawValue: try bytes.read(UInt32.self, at: 8)))
    case .ndisVersion:
      self = .ndisVersion(major: try bytes.read(UInt32.self, at: 4), minor: try bytes.read(UInt32.self, at: 8))
    case .receiveBuffer:
      self = .receiveBuffer(
        GPADLID(try bytes.read(UInt32.self, at: 4)), id: try bytes.read(UInt16.self, at: 8))
    case .revokeReceiveBuffer: self = .revokeReceiveBuffer(id: try bytes.read(UInt16.self, at: 4))
    case .sendBuffer:
      self = .sendBuffer(
        GPADLID(try bytes.read(UInt32.self, at: 4)), id: try bytes.read(UInt16.self, at: 8))
    case .revokeSendBuffer: self = .revokeSendBuffer(id: try bytes.read(UInt16.self, at: 4))
    case .configuration:
      self = .configuration(
        frameSize: try bytes.read(UInt32.self, at: 4),
        NVSPCapabilities(rawValue: try bytes.read(UInt64.self, at: 12)))
    case .switchDataPath: self = .switchDataPath(try bytes.read(UInt32.self, at: 4))
    case .subChannels:
      self = .requestSubChannels(
        operation: try bytes.read(UInt32.self, at: 4), count: try bytes.read(UInt32.self, at: 8))
    default: throw .invalid(offset: 0)
    }
  }

  /// What a host sends.
  public init(decodingFromHost bytes: RawSpan) throws(WireError) {
    switch NVSPMessageType(rawValue: try bytes.read(UInt32.self, at: 0)) {
    case .initializeComplete:
      self = .initializeComplete(
        version: try bytes.read(UInt32.self, at: 4), chain: try bytes.read(UInt32.self, at: 8),
        NVSPStatus(rawValue: try bytes.read(UInt32.self, at: 12)))
    case .receiveBufferComplete:
      self = .receiveBufferComplete(
        NVSPStatus(rawValue: try bytes.read(UInt32.self, at: 4)), sections: try bytes.read(UInt32.self, at: 8),
        NVSPReceiveSection(
          offset: try bytes.read(UInt32.self, at: 12), byteCount: try bytes.read(UInt32.self, at: 16),
          count: try bytes.read(UInt32.self, at: 20), end: try bytes.read(UInt32.self, at: 24)))
    case .sendBufferComplete:
      self = .sendBufferComplete(
        NVSPStatus(rawValue: try bytes.read(UInt32.self, at: 4)), sectionSize: try bytes.read(UInt32.self, at: 8))
    case .virtualFunction:
      self = .virtualFunction(
        isAllocated: try bytes.read(UInt32.self, at: 4) != 0, serial: try bytes.read(UInt32.self, at: 8))
    case .subChannels:
      self = .subChannels(
        NVSPStatus(rawValue: try bytes.read(UInt32.self, at: 4)), count: try bytes.read(UInt32.self, at: 8))
    case .sendTable: self = .sendTable(try NVSPSendTable(decoding: bytes))
    default: throw .invalid(offset: 0)
    }
  }

  /// Into `byteCount` bytes of zeros.
  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(type.rawValue, at: 0)
    switch self {
    case .initialize(let minimum, let maximum):
      try bytes.write(minimum.rawValue, at: 4)
      try bytes.write(maximum.rawValue, at: 8)
    case .initializeComplete(let version, let chain, let status):
      try bytes.write(version, at: 4)
      try bytes.write(chain, at: 8)
      try bytes.write(status.rawValue, at: 12)
    case .ndisVersion(let major, let minor):
      try bytes.write(major, at: 4)
      try bytes.write(minor, at: 8)
    case .receiveBuffer(let gpadl, let id), .sendBuffer(let gpadl, let id):
      try bytes.write(gpadl.rawValue, at: 4)
      try bytes.write(id, at: 8)
    case .receiveBufferComplete(let status, let sections, let section):
      try bytes.write(status.rawValue, at: 4)
      try bytes.write(sections, at: 8)
      try bytes.write(section.offset, at: 12)
      try bytes.write(section.byteCount, at: 16)
      try bytes.write(section.count, at: 20)
      try bytes.write(section.end, at: 24)
    case .revokeReceiveBuffer(let id), .revokeSendBuffer(let id): try bytes.write(id, at: 4)
    case .sendBufferComplete(let status, let sectionSize):
      try bytes.write(status.rawValue, at: 4)
      try bytes.write(sectionSize, at: 8)
    case .configuration(let frameSize, let capabilities):
      try bytes.write(frameSize, at: 4)
      try bytes.write(capabilities.rawValue, at: 12)
    case .virtualFunction(let isAllocated, let serial):
      try bytes.write(isAllocated ? 1 as UInt32 : 0, at: 4)
      try bytes.write(serial, at: 8)
    case .switchDataPath(let path): try bytes.write(path, at: 4)
    case .requestSubChannels(let operation, let count):
      try bytes.write(operation, at: 4)
      try bytes.write(count, at: 8)
    case .subChannels(let status, let count):
      try bytes.write(status.rawValue, at: 4)
      try bytes.write(count, at: 8)
    case .sendTable(let table): try table.encode(into: &bytes)
    }
  }
}

/// How the host divides the receive buffer.
public struct NVSPReceiveSection: Hashable, Sendable {
  /// 0 always.
  public var offset: UInt32
  /// Of one place for a message.
  public var byteCount: UInt32
  public var count: UInt32
  /// Behind the last place.
  public var end: UInt32

  @inlinable public init(offset: UInt32 = 0, byteCount: UInt32, count: UInt32, end: UInt32) {
    self.offset = offset
    self.byteCount = byteCount
    self.count = count
    self.end = end
  }
}

/// What a guest says in its configuration message that it can do.
public struct NVSPCapabilities: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable public static var singleRootIO: Self { Self(rawValue: 1 << 2) }
  @inlinable public static var vlan: Self { Self(rawValue: 1 << 3) }
  /// Linux: the guest wants to know of changes of the link's speed.
  @inlinable public static var teaming: Self { Self(rawValue: 1 << 5) }
  @inlinable public static var receiveCoalescing: Self { Self(rawValue: 1 << 7) }

  @inlinable public func union(_ other: Self) -> Self { Self(rawValue: rawValue | other.rawValue) }
  @inlinable public func contains(_ other: Self) -> Bool { rawValue & other.rawValue == other.rawValue }
}

/// The channel of each of sixteen classes of what a guest sends.
public struct NVSPSendTable: Hashable, Sendable {
  public var channels: InlineArray<16, UInt32>

  public init(channels: InlineArray<16, UInt32>) { self.channels = channels }

  /// Spread over `count` channels, at least one.
  public init(spreadOver count: UInt32) {
    channels = InlineArray(repeating: 0)
    for index in 0..<16 { channels[index] = UInt32(truncatingIfNeeded: index) % (count > 0 ? count : 1) }
  }

  /// Quirk `send-table-offset`: versions up to 6 have hosts that lie about the offset; Linux then takes 40, so that is
  /// where we put the table.
  static let offset = 40

  init(decoding bytes: RawSpan) throws(WireError) {
    guard try bytes.read(UInt32.self, at: 4) == 16 else { throw .invalid(offset: 4) }
    let offset = try bytes.read(UInt32.self, at: 8)
    guard offset < 0x1_0000 else { throw .invalid(offset: 8) }
    channels = InlineArray(repeating: 0)
    for index in 0..<16 { channels[index] = try bytes.read(UInt32.self, at: Int(offset) &+ index &* 4) }
  }

  @_lifetime(bytes: copy bytes)
  func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(16 as UInt32, at: 4)
    try bytes.write(UInt32(Self.offset), at: 8)
    for index in 0..<16 { try bytes.write(channels[index], at: Self.offset &+ index &* 4) }
  }

  public static func == (a: Self, b: Self) -> Bool {
    for index in 0..<16 where a.channels[index] != b.channels[index] { return false }
    return true
  }

  public func hash(into hasher: inout Hasher) {
    for index in 0..<16 { hasher.combine(channels[index]) }
  }
}

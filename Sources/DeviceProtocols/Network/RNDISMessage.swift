// SPDX-License-Identifier: Apache-2.0

import VMBus

/// An RNDIS message that is not a packet. Offsets inside it count from byte 8, where its body begins.
///
/// Layouts: drivers/net/hyperv/hyperv_net.h of Linux 6.1 and 6.12; rndis.h of DPDK's netvsc.
public enum RNDISMessage: Hashable, Sendable {
  case initialize(id: UInt32, major: UInt32, minor: UInt32, maximumTransfer: UInt32)
  case initializeComplete(RNDISInitialization)
  case halt(id: UInt32)
  /// `information` is what goes with it: bytes of the message.
  case query(id: UInt32, NetworkOID, information: RNDISPlace)
  case queryComplete(id: UInt32, RNDISStatus, information: RNDISPlace)
  case set(id: UInt32, NetworkOID, information: RNDISPlace)
  case setComplete(id: UInt32, RNDISStatus)
  case reset
  /// `addressing`: the filter and the multicast list are to be set again.
  case resetComplete(RNDISStatus, addressing: Bool)
  case indicate(RNDISStatus, information: RNDISPlace)
  case keepAlive(id: UInt32)
  case keepAliveComplete(id: UInt32, RNDISStatus)

  /// Bytes of type and length in front of every body.
  public static let headerSize = 8
  public static let queryInformationOffset = 28
  public static let queryCompleteInformationOffset = 24
  public static let indicationInformationOffset = 20

  /// A whole message: its length says no more than is there.
  public init(decoding message: RawSpan) throws(WireError) {
    let type = RNDISMessageType(rawValue: try message.read(UInt32.self, at: 0))
    let length = try message.read(UInt32.self, at: 4)
    guard length >= 8, length <= UInt32(clamping: message.byteCount) else { throw .invalid(offset: 4) }
    let bytes = try message.slice(at: 0, count: Int(length))
    switch type {
    case .initialize:
      self = .initialize(
        id: try bytes.read(UInt32.self, at: 8), major: try bytes.read(UInt32.self, at: 12),
        minor: try bytes.read(UInt32.self, at: 16), maximumTransfer: try bytes.read(UInt32.self, at: 20))
    case .initializeComplete: self = .initializeComplete(try RNDISInitialization(decoding: bytes))
    case .halt: self = .halt(id: try bytes.read(UInt32.self, at: 8))
    case .query:
      self = .query(
        id: try bytes.read(UInt32.self, at: 8), NetworkOID(rawValue: try bytes.read(UInt32.self, at: 12)),
        information: try RNDISPlace(countAt: 16, offsetAt: 20, notBefore: 28, in: bytes))
    case .set:
      self = .set(
        id: try bytes.read(UInt32.self, at: 8), NetworkOID(rawValue: try bytes.read(UInt32.self, at: 12)),
        information: try RNDISPlace(countAt: 16, offsetAt: 20, notBefore: 28, in: bytes))
    case .queryComplete:
      self = .queryComplete(
        id: try bytes.read(UInt32.self, at: 8), RNDISStatus(rawValue: try bytes.read(UInt32.self, at: 12)),
        information: try RNDISPlace(countAt: 16, offsetAt: 20, notBefore: 24, in: bytes))
    case .setComplete:
      self = .setComplete(
        id: try bytes.read(UInt32.self, at: 8), RNDISStatus(rawValue: try bytes.read(UInt32.self, at: 12)))
    case .reset: self = .reset
    case .resetComplete:
      self = .resetComplete(
        RNDISStatus(rawValue: try bytes.read(UInt32.self, at: 8)),
        addressing: try bytes.read(UInt32.self, at: 12) != 0)
    case .indicate:
      self = .indicate(
        RNDISStatus(rawValue: try bytes.read(UInt32.self, at: 8)),
        information: try RNDISPlace(countAt: 12, offsetAt: 16, notBefore: 20, in: bytes))
    case .keepAlive: self = .keepAlive(id: try bytes.read(UInt32.self, at: 8))
    case .keepAliveComplete:
      self = .keepAliveComplete(
        id: try bytes.read(UInt32.self, at: 8), RNDISStatus(rawValue: try bytes.read(UInt32.self, at: 12)))
    default: throw .invalid(offset: 0)
    }
  }

  public var type: RNDISMessageType {
    switch self {
    case .initialize: .initialize
    case .initializeComplete: .initializeComplete
    case .halt: .halt
    case .query: .query
    case .queryComplete: .queryComplete
    case .set: .set
    case .setComplete: .setComplete
    case .reset: .reset
    case .resetComplete: .resetComplete
    case .indicate: .indicate
    case .keepAlive: .keepAlive
    case .keepAliveComplete: .keepAliveComplete
    }
  }

  /// Bytes of the whole message. Information lies directly behind the fixed part in what we encode.
  public var byteCount: Int {
    switch self {
    case .initialize: 24
    case .initializeComplete: RNDISInitialization.wireSize
    case .halt, .keepAlive: 12
    case .query(_, _, let information), .set(_, _, let information): 28 &+ information.byteCount
    case .queryComplete(_, _, let information): 24 &+ information.byteCount
    case .setComplete, .resetComplete, .keepAliveComplete: 16
    case .reset: 12
    case .indicate(_, let information): 20 &+ information.byteCount
    }
  }

  /// Everything but the information's own bytes.
  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(type.rawValue, at: 0)
    try bytes.write(UInt32(truncatingIfNeeded: byteCount), at: 4)
    switch self {
    case .initialize(let id, let major, let minor, let maximumTransfer):
      try bytes.write(id, at: 8)
      try bytes.write(major, at: 12)
      try bytes.write(minor, at: 16)
      try bytes.write(maximumTransfer, at: 20)
    case .initializeComplete(let answer): try answer.encode(into: &bytes)
    case .halt(let id), .keepAlive(let id): try bytes.write(id, at: 8)
    case .query(let id, let oid, let information), .set(let id, let oid, let information):
      try bytes.write(id, at: 8)
      try bytes.write(oid.rawValue, at: 12)
      try bytes.write(UInt32(truncatingIfNeeded: information.byteCount), at: 16)
      try bytes.write(20 as UInt32, at: 20)
      try bytes.write(0 as UInt32, at: 24)
    case .queryComplete(let id, let status, let information):
      try bytes.write(id, at: 8)
      try bytes.write(status.rawValue, at: 12)
      try bytes.write(UInt32(truncatingIfNeeded: information.byteCount), at: 16)
      // Linux takes nothing less than 16, also in failures.
      try bytes.write(16 as UInt32, at: 20)
    case .setComplete(let id, let status), .keepAliveComplete(let id, let status):
      try bytes.write(id, at: 8)
      try bytes.write(status.rawValue, at: 12)
    case .reset: try bytes.write(0 as UInt32, at: 8)
    case .resetComplete(let status, let addressing):
      try bytes.write(status.rawValue, at: 8)
      try bytes.write(addressing ? 1 as UInt32 : 0, at: 12)
    case .indicate(let status, let information):
      try bytes.write(status.rawValue, at: 8)
      try bytes.write(UInt32(truncatingIfNeeded: information.byteCount), at: 12)
      try bytes.write(information.byteCount > 0 ? 12 as UInt32 : 0, at: 16)
    }
  }
}

/// Where in a message its information is.
public struct RNDISPlace: Hashable, Sendable {
  /// From the message's start.
  public let offset: Int
  public let byteCount: Int

  @inlinable public init(offset: Int, byteCount: Int) {
    self.offset = offset
    self.byteCount = byteCount
  }

  @inlinable public static var none: Self { Self(offset: 0, byteCount: 0) }
  /// For encoding: the offset follows from the message.
  @inlinable public static func bytes(_ count: Int) -> Self { Self(offset: 0, byteCount: count) }

  /// Checked against the message. Without bytes the offset does not matter.
  @inlinable
  init(countAt: Int, offsetAt: Int, notBefore first: Int, in bytes: RawSpan) throws(WireError) {
    let count = try bytes.read(UInt32.self, at: countAt)
    let offset = UInt64(try bytes.read(UInt32.self, at: offsetAt)) &+ 8
    if count == 0 {
      self = .none
      return
    }
    guard offset >= UInt64(first), offset &+ UInt64(count) <= UInt64(bytes.byteCount) else {
      throw .invalid(offset: offsetAt)
    }
    self.offset = Int(offset)
    byteCount = Int(count)
  }
}

/// What the host says of itself when RNDIS begins.
public struct RNDISInitialization: Hashable, Sendable {
  public static let wireSize = 52

  public var id: UInt32
  public var status: RNDISStatus
  public var major: UInt32 = 1
  public var minor: UInt32 = 0
  /// Frames that one message may carry.
  public var packetsPerMessage: UInt32
  /// Bytes of such a message.
  public var maximumTransfer: UInt32
  /// Each packet in it begins at a multiple of 2 to this power.
  public var alignmentFactor: UInt32

  @inlinable
  public init(
    id: UInt32, status: RNDISStatus = .success, packetsPerMessage: UInt32 = 8, maximumTransfer: UInt32,
    alignmentFactor: UInt32 = 3
  ) {
    self.id = id
    self.status = status
    self.packetsPerMessage = packetsPerMessage
    self.maximumTransfer = maximumTransfer
    self.alignmentFactor = alignmentFactor
  }

  init(decoding bytes: RawSpan) throws(WireError) {
    id = try bytes.read(UInt32.self, at: 8)
    status = RNDISStatus(rawValue: try bytes.read(UInt32.self, at: 12))
    major = try bytes.read(UInt32.self, at: 16)
    minor = try bytes.read(UInt32.self, at: 20)
    packetsPerMessage = try bytes.read(UInt32.self, at: 32)
    maximumTransfer = try bytes.read(UInt32.self, at: 36)
    alignmentFactor = try bytes.read(UInt32.self, at: 40)
  }

  @_lifetime(bytes: copy bytes)
  func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(id, at: 8)
    try bytes.write(status.rawValue, at: 12)
    try bytes.write(major, at: 16)
    try bytes.write(minor, at: 20)
    // Device flags: connectionless. Medium: 802.3.
    try bytes.write(1 as UInt32, at: 24)
    try bytes.write(0 as UInt32, at: 28)
    try bytes.write(packetsPerMessage, at: 32)
    try bytes.write(maximumTransfer, at: 36)
    try bytes.write(alignmentFactor, at: 40)
    try bytes.write(0 as UInt64, at: 44)
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The 28 bytes in front of every integration message: the pipe header (type and size) and the message header.
///
/// Layout: `vmbuspipe_hdr` and `icmsg_hdr` in include/linux/hyperv.h of Linux 6.1. All little-endian.
public struct IntegrationHeader: Hashable, Sendable {
  public static let wireSize = 28
  /// The pipe header alone.
  public static let pipeHeaderSize = 8
  /// The pipe type of data; there is no other in message mode.
  public static let pipeData: UInt32 = 1

  /// Bytes after the pipe header that belong to the message, at most what the packet holds. Offset 4.
  public var pipeSize: UInt32
  /// Offset 8.
  public var framework: ServiceVersion
  /// Offset 12.
  public var type: IntegrationMessageType
  /// Offset 14.
  public var message: ServiceVersion
  /// Bytes of the body. Offset 18.
  public var bodySize: UInt16
  /// Offset 20.
  public var status: IntegrationStatus
  /// Chosen by the host, echoed by the guest. Offset 24.
  public var transaction: UInt8
  /// Offset 25; two reserved bytes follow.
  public var flags: IntegrationMessageFlags

  public init(
    framework: ServiceVersion, type: IntegrationMessageType, message: ServiceVersion, bodySize: UInt16,
    status: IntegrationStatus, transaction: UInt8, flags: IntegrationMessageFlags
  ) {
    pipeSize = UInt32(bodySize) &+ UInt32(Self.wireSize &- Self.pipeHeaderSize)
    self.framework = framework
    self.type = type
    self.message = message
    self.bodySize = bodySize
    self.status = status
    self.transaction = transaction
    self.flags = flags
  }

  /// Fails when the pipe type is not data, when the pipe size exceeds the packet or does not hold a message header, and
  /// when the body size exceeds the pipe size. Bytes after the message (padding to 8) are allowed.
  public init(decoding bytes: RawSpan) throws(WireError) {
    guard bytes.byteCount >= Self.wireSize else {
      throw .truncated(needed: Self.wireSize, available: bytes.byteCount)
    }
    let pipeType = try bytes.read(UInt32.self, at: 0)
    pipeSize = try bytes.read(UInt32.self, at: 4)
    framework = try Self.version(bytes, at: 8)
    type = IntegrationMessageType(rawValue: try bytes.read(UInt16.self, at: 12))
    message = try Self.version(bytes, at: 14)
    bodySize = try bytes.read(UInt16.self, at: 18)
    status = IntegrationStatus(rawValue: try bytes.read(UInt32.self, at: 20))
    transaction = try bytes.read(UInt8.self, at: 24)
    flags = IntegrationMessageFlags(rawValue: try bytes.read(UInt8.self, at: 25))
    guard pipeType == Self.pipeData else { throw .invalid(offset: 0) }
    let headerAfterPipe = UInt32(Self.wireSize &- Self.pipeHeaderSize)
    guard pipeSize >= headerAfterPipe else { throw .invalid(offset: 4) }
    guard Int(pipeSize) <= bytes.byteCount &- Self.pipeHeaderSize else {
      throw .truncated(needed: Int(pipeSize) &+ Self.pipeHeaderSize, available: bytes.byteCount)
    }
    guard UInt32(bodySize) <= pipeSize &- headerAfterPipe else { throw .invalid(offset: 18) }
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    guard bytes.byteCount >= Self.wireSize else {
      throw .truncated(needed: Self.wireSize, available: bytes.byteCount)
    }
    try bytes.write(Self.pipeData, at: 0)
    try bytes.write(pipeSize, at: 4)
    try bytes.write(framework.wireValue, at: 8)
    try bytes.write(type.rawValue, at: 12)
    try bytes.write(message.wireValue, at: 14)
    try bytes.write(bodySize, at: 18)
    try bytes.write(status.rawValue, at: 20)
    try bytes.write(transaction, at: 24)
    try bytes.write(flags.rawValue, at: 25)
    try bytes.write(UInt16(0), at: 26)
  }

  static func version(_ bytes: RawSpan, at offset: Int) throws(WireError) -> ServiceVersion {
    ServiceVersion(wireValue: try bytes.read(UInt32.self, at: offset))
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// One SCSI command on its way to a device, and in the answer how it ended.
///
/// Layout: `vmscsi_request` in drivers/scsi/storvsc_drv.c of Linux 6.1 and 6.12. Offsets are the packet's.
public struct SCSIRequestBlock: Hashable, Sendable {
  public static let wireSize = 52
  /// Before version 5.1 there is nothing behind byte 47 of the packet.
  public static let oldWireSize = 36
  /// Room for sense data: 20 bytes, before version 5.1 18.
  public static let senseSize = 20

  /// At byte 12: bytes of the block.
  public var byteCount: UInt16 = UInt16(Self.wireSize)
  /// At byte 14.
  public var status: SRBStatus = .pending
  /// At byte 15.
  public var deviceStatus: SCSIStatus = .good
  /// At byte 16: the guest's own number of the adapter.
  public var port: UInt8 = 0
  /// At bytes 17, 18, 19.
  public var path: UInt8 = 0
  public var target: UInt8 = 0
  public var unit: UInt8 = 0
  /// At byte 20: bytes of the command that count, at most 16.
  public var commandLength: UInt8 = 0
  /// At byte 21: room for sense data; in the answer, bytes of it.
  public var senseLength: UInt8 = 0
  /// At byte 22.
  public var direction: StorageDirection = .none
  /// At byte 24: bytes of data; in the answer, those that were really moved.
  public var dataLength: UInt32 = 0
  /// At byte 28: 20 bytes, read little-endian: the command, in the answer the sense data.
  public var low: UInt64 = 0
  public var high: UInt64 = 0
  public var last: UInt32 = 0
  /// At bytes 50 and 51. What follows is zero before version 5.1.
  public var queueTag: UInt8 = 0
  public var queueAction: UInt8 = 0
  /// At byte 52. Nothing in it concerns a virtual device.
  public var flags: UInt32 = 0
  /// At byte 56, in seconds.
  public var timeoutSeconds: UInt32 = 0
  /// At byte 60.
  public var sortKey: UInt32 = 0

  @inlinable public init() {}

  /// The command. At most 16 bytes count, whatever the length says.
  @inlinable public var command: SCSICommandBlock {
    get { SCSICommandBlock(low: low, high: high, byteCount: Int(commandLength)) }
    set {
      low = newValue.low
      high = newValue.high
      last = 0
      commandLength = UInt8(truncatingIfNeeded: newValue.byteCount)
    }
  }

  /// Replaces the command by sense data, as an answer does. Those of 20 bytes are shortened to 8 where the guest has no
  /// room for them, as in the 18 bytes of old versions.
  @inlinable
  public mutating func setSense(_ sense: SenseData?) {
    var sense = sense
    if sense?.format == .descriptors, senseLength < Self.senseSize { sense?.information = nil }
    low = sense?.low ?? 0
    high = sense?.high ?? 0
    last = sense?.last ?? 0
    senseLength = UInt8(truncatingIfNeeded: sense?.byteCount ?? 0)
  }

  /// From the whole packet, which has at least the block's bytes of `version`.
  @inlinable
  public init(decodingBodyOf packet: RawSpan, version: StorageVersion) throws(WireError) {
    let head = try packet.read(UInt64.self, at: 12)
    let middle = try packet.read(UInt64.self, at: 20)
    byteCount = UInt16(truncatingIfNeeded: head)
    status = SRBStatus(rawValue: UInt8(truncatingIfNeeded: head &>> 16))
    deviceStatus = SCSIStatus(rawValue: UInt8(truncatingIfNeeded: head &>> 24))
    port = UInt8(truncatingIfNeeded: head &>> 32)
    path = UInt8(truncatingIfNeeded: head &>> 40)
    target = UInt8(truncatingIfNeeded: head &>> 48)
    unit = UInt8(truncatingIfNeeded: head &>> 56)
    commandLength = UInt8(truncatingIfNeeded: middle)
    senseLength = UInt8(truncatingIfNeeded: middle &>> 8)
    direction = StorageDirection(rawValue: UInt8(truncatingIfNeeded: middle &>> 16))
    dataLength = UInt32(truncatingIfNeeded: middle &>> 32)
    low = try packet.read(UInt64.self, at: 28)
    high = try packet.read(UInt64.self, at: 36)
    last = try packet.read(UInt32.self, at: 44)
    if version.requestBlockSize > Self.oldWireSize {
      let tail = try packet.read(UInt64.self, at: 48)
      queueTag = UInt8(truncatingIfNeeded: tail &>> 16)
      queueAction = UInt8(truncatingIfNeeded: tail &>> 24)
      flags = UInt32(truncatingIfNeeded: tail &>> 32)
      timeoutSeconds = try packet.read(UInt32.self, at: 56)
      sortKey = try packet.read(UInt32.self, at: 60)
    }
  }

  @inlinable @_lifetime(packet: copy packet)
  public func encode(intoBodyOf packet: inout MutableRawSpan, version: StorageVersion) throws(WireError) {
    let head =
      UInt64(byteCount) | UInt64(status.rawValue) &<< 16 | UInt64(deviceStatus.rawValue) &<< 24 | UInt64(port) &<< 32
      | UInt64(path) &<< 40 | UInt64(target) &<< 48 | UInt64(unit) &<< 56
    let middle =
      UInt64(commandLength) | UInt64(senseLength) &<< 8 | UInt64(direction.rawValue) &<< 16 | UInt64(dataLength) &<< 32
    try packet.write(head, at: 12)
    try packet.write(middle, at: 20)
    try packet.write(low, at: 28)
    try packet.write(high, at: 36)
    try packet.write(last, at: 44)
    if version.requestBlockSize > Self.oldWireSize {
      try packet.write(UInt64(queueTag) &<< 16 | UInt64(queueAction) &<< 24 | UInt64(flags) &<< 32, at: 48)
      try packet.write(timeoutSeconds, at: 56)
      try packet.write(sortKey, at: 60)
    }
  }
}

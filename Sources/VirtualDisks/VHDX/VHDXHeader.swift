// SPDX-License-Identifier: Apache-2.0

import VMBus

/// [MS-VHDX] 2.2.2: one of the two headers. The valid one with the greater sequence number counts.
struct VHDXHeader: Equatable, Sendable {
  var sequenceNumber: UInt64
  /// Changes before anything in the file changes.
  var fileWriteIdentifier: GUID
  /// Changes before anything that the guest can see changes: what a child remembers of its parent.
  var dataWriteIdentifier: GUID
  /// Which log entries count; zero when the log is empty.
  var logIdentifier: GUID
  var logVersion: UInt16 = VHDXFormat.logVersion
  var version: UInt16 = VHDXFormat.version
  var logByteCount: UInt32
  var logOffset: UInt64

  var logRange: Range<UInt64> { logOffset..<logOffset + UInt64(logByteCount) }

  /// Nil when the 4 KiB are no sound header.
  init?(decoding bytes: [UInt8]) {
    guard bytes.count == VHDXFormat.headerByteCount,
      bytes.little(UInt32.self, at: 0) == VHDXFormat.headerSignature,
      bytes.little(UInt32.self, at: 4) == bytes.checksum(skippingFieldAt: 4)
    else { return nil }
    sequenceNumber = bytes.little(UInt64.self, at: 8)
    fileWriteIdentifier = bytes.guid(at: 16)
    dataWriteIdentifier = bytes.guid(at: 32)
    logIdentifier = bytes.guid(at: 48)
    logVersion = bytes.little(UInt16.self, at: 64)
    version = bytes.little(UInt16.self, at: 66)
    logByteCount = bytes.little(UInt32.self, at: 68)
    logOffset = bytes.little(UInt64.self, at: 72)
  }

  init(
    sequenceNumber: UInt64, fileWriteIdentifier: GUID, dataWriteIdentifier: GUID, logIdentifier: GUID = .zero,
    logByteCount: UInt32, logOffset: UInt64
  ) {
    self.sequenceNumber = sequenceNumber
    self.fileWriteIdentifier = fileWriteIdentifier
    self.dataWriteIdentifier = dataWriteIdentifier
    self.logIdentifier = logIdentifier
    self.logByteCount = logByteCount
    self.logOffset = logOffset
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: VHDXFormat.headerByteCount)
    bytes.setLittle(VHDXFormat.headerSignature, at: 0)
    bytes.setLittle(sequenceNumber, at: 8)
    bytes.setGUID(fileWriteIdentifier, at: 16)
    bytes.setGUID(dataWriteIdentifier, at: 32)
    bytes.setGUID(logIdentifier, at: 48)
    bytes.setLittle(logVersion, at: 64)
    bytes.setLittle(version, at: 66)
    bytes.setLittle(logByteCount, at: 68)
    bytes.setLittle(logOffset, at: 72)
    bytes.setLittle(bytes.checksum(skippingFieldAt: 4), at: 4)
    return bytes
  }
}

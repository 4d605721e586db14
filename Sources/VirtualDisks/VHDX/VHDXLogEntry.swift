// SPDX-License-Identifier: Apache-2.0

import VMBus

/// 4 KiB of metadata as it is to be at a place in the file.
struct VHDXLogPage: Equatable, Sendable {
  /// Byte offset in the file, a multiple of 4096.
  var offset: UInt64
  /// 4096 bytes.
  var bytes: [UInt8]
}

/// [MS-VHDX] 2.3.1.1: the fixed front of a log entry.
struct VHDXLogEntryHeader: Equatable, Sendable {
  static let byteCount = 64
  static let descriptorByteCount = 32

  var checksum: UInt32 = 0
  /// Of the whole entry, a multiple of 4096.
  var entryByteCount: UInt32
  /// Where in the log the oldest entry begins that replay needs.
  var tail: UInt32
  var sequenceNumber: UInt64
  var descriptorCount: UInt32
  var logIdentifier: GUID
  /// The file had at least this size, durably, when the entry was written.
  var flushedFileByteCount: UInt64
  /// Everything that the metadata speaks of fits into this size; replay makes the file at least so large.
  var lastFileByteCount: UInt64

  /// Bytes of header and descriptors, in whole sectors.
  static func frontByteCount(descriptors: UInt32) -> UInt64 {
    let bytes = UInt64(byteCount) + UInt64(descriptors) * UInt64(descriptorByteCount)
    return (bytes + VHDXFormat.pageByteCount - 1) / VHDXFormat.pageByteCount * VHDXFormat.pageByteCount
  }

  static func entryByteCount(pages: Int) -> UInt64 {
    frontByteCount(descriptors: UInt32(pages)) + UInt64(pages) * VHDXFormat.pageByteCount
  }

  /// Nil when the sector does not begin an entry of this log that could be sound. The checksum is not looked at.
  init?(decoding sector: [UInt8], logIdentifier: GUID, logByteCount: UInt64) {
    guard sector.little(UInt32.self, at: 0) == VHDXFormat.logEntrySignature else { return nil }
    checksum = sector.little(UInt32.self, at: 4)
    entryByteCount = sector.little(UInt32.self, at: 8)
    tail = sector.little(UInt32.self, at: 12)
    sequenceNumber = sector.little(UInt64.self, at: 16)
    descriptorCount = sector.little(UInt32.self, at: 24)
    self.logIdentifier = sector.guid(at: 32)
    flushedFileByteCount = sector.little(UInt64.self, at: 48)
    lastFileByteCount = sector.little(UInt64.self, at: 56)
    let page = VHDXFormat.pageByteCount
    guard self.logIdentifier == logIdentifier, sequenceNumber > 0,
      UInt64(entryByteCount) % page == 0, entryByteCount > 0, UInt64(entryByteCount) <= logByteCount,
      UInt64(tail) % page == 0, UInt64(tail) < logByteCount,
      Self.frontByteCount(descriptors: descriptorCount) <= UInt64(entryByteCount)
    else { return nil }
  }

  init(
    entryByteCount: UInt32, tail: UInt32, sequenceNumber: UInt64, descriptorCount: UInt32, logIdentifier: GUID,
    flushedFileByteCount: UInt64, lastFileByteCount: UInt64
  ) {
    self.entryByteCount = entryByteCount
    self.tail = tail
    self.sequenceNumber = sequenceNumber
    self.descriptorCount = descriptorCount
    self.logIdentifier = logIdentifier
    self.flushedFileByteCount = flushedFileByteCount
    self.lastFileByteCount = lastFileByteCount
  }

  /// The whole entry with `pages` as its data, checksum included.
  func encoded(with pages: [VHDXLogPage]) -> [UInt8] {
    let page = Int(VHDXFormat.pageByteCount)
    var bytes = [UInt8](repeating: 0, count: Int(entryByteCount))
    bytes.setLittle(VHDXFormat.logEntrySignature, at: 0)
    bytes.setLittle(entryByteCount, at: 8)
    bytes.setLittle(tail, at: 12)
    bytes.setLittle(sequenceNumber, at: 16)
    bytes.setLittle(descriptorCount, at: 24)
    bytes.setGUID(logIdentifier, at: 32)
    bytes.setLittle(flushedFileByteCount, at: 48)
    bytes.setLittle(lastFileByteCount, at: 56)
    var data = Int(Self.frontByteCount(descriptors: descriptorCount))
    for (index, item) in pages.enumerated() {
      // The sector carries its own marks; the bytes that they displace travel in the descriptor.
      let descriptor = Self.byteCount + index * Self.descriptorByteCount
      bytes.setLittle(VHDXFormat.dataDescriptorSignature, at: descriptor)
      bytes.setLittle(item.bytes.little(UInt32.self, at: page - 4), at: descriptor + 4)
      bytes.setLittle(item.bytes.little(UInt64.self, at: 0), at: descriptor + 8)
      bytes.setLittle(item.offset, at: descriptor + 16)
      bytes.setLittle(sequenceNumber, at: descriptor + 24)
      bytes.replaceSubrange(data..<data + page, with: item.bytes)
      bytes.setLittle(VHDXFormat.dataSectorSignature, at: data)
      bytes.setLittle(UInt32(truncatingIfNeeded: sequenceNumber >> 32), at: data + 4)
      bytes.setLittle(UInt32(truncatingIfNeeded: sequenceNumber), at: data + page - 4)
      data += page
    }
    bytes.setLittle(bytes.checksum(skippingFieldAt: 4), at: 4)
    return bytes
  }
}

/// [MS-VHDX] 2.3.1.2 and 2.3.1.3: what an entry does to one place of the file.
enum VHDXLogDescriptor: Equatable, Sendable {
  case data(offset: UInt64, leading: UInt64, trailing: UInt32)
  case zero(offset: UInt64, byteCount: UInt64)

  /// Nil when the 32 bytes at `place` are no sound descriptor of the entry with this number, or lead where no metadata can
  /// be: before the region tables, into the log, past any possible file.
  init?(decoding front: [UInt8], at place: Int, sequenceNumber: UInt64, log: Range<UInt64>) {
    let offset = front.little(UInt64.self, at: place + 16)
    guard front.little(UInt64.self, at: place + 24) == sequenceNumber, offset % VHDXFormat.pageByteCount == 0 else {
      return nil
    }
    let byteCount: UInt64
    switch front.little(UInt32.self, at: place) {
    case VHDXFormat.dataDescriptorSignature:
      byteCount = VHDXFormat.pageByteCount
      self = .data(
        offset: offset, leading: front.little(UInt64.self, at: place + 8),
        trailing: front.little(UInt32.self, at: place + 4))
    case VHDXFormat.zeroDescriptorSignature:
      byteCount = front.little(UInt64.self, at: place + 8)
      self = .zero(offset: offset, byteCount: byteCount)
    default: return nil
    }
    guard byteCount % VHDXFormat.pageByteCount == 0, offset >= VHDXFormat.regionTableOffsets[0],
      offset <= VHDXFormat.maximumFileByteCount, byteCount <= VHDXFormat.maximumFileByteCount,
      byteCount == 0 || !log.overlaps(offset..<offset + byteCount)
    else { return nil }
  }
}

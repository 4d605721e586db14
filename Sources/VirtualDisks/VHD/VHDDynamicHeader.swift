// SPDX-License-Identifier: Apache-2.0

/// The header of a VHD that grows: where the block allocation table lies, how large a block is, who the parent is.
///
/// Fields and offsets: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, "Dynamic Disk Header Format".
struct VHDDynamicHeader: Equatable, Sendable {
  static let byteCount = 1024
  static let cookie = Array("cxsparse".utf8)
  static let parentNameBytes = 512
  static let defaultBlockSize: UInt32 = 2 << 20
  static let largestBlock: UInt32 = 256 << 20
  /// A table of 64 MiB: enough for the largest disk in blocks of 128 KiB, and a bound for what a file makes us hold.
  static let mostBlocks: UInt32 = 16 << 20

  var tableOffset: UInt64
  var tableEntries: UInt32
  var blockSize: UInt32
  var parentIdentifier: VHDIdentifier = .none
  var parentTimestamp = VHDTimestamp(rawValue: 0)
  /// The parent's file name, UTF-16.
  var parentName: [UInt16] = []
  var locators: [VHDParentLocator] = []

  init(tableOffset: UInt64, tableEntries: UInt32, blockSize: UInt32) {
    self.tableOffset = tableOffset
    self.tableEntries = tableEntries
    self.blockSize = blockSize
  }

  /// `diskSize` is the footer's.
  init(decoding sectors: [UInt8], diskSize: UInt64) throws(VHDDefect) {
    guard sectors.count == Self.byteCount else {
      throw VHDDefect("dynamic disk header", at: UInt64(sectors.count), "it ends after \(sectors.count) bytes")
    }
    let bytes = BigEndianBytes(sectors)
    guard bytes.slice(at: 0, count: 8) == Self.cookie else {
      throw VHDDefect("dynamic disk header cookie", at: 0, "it is not \"cxsparse\"")
    }
    let stored = bytes.read(UInt32.self, at: 36)
    let computed = bytes.checksum(except: 36)
    guard stored == computed else {
      throw VHDDefect(
        "dynamic disk header checksum", at: 36, "it is \(hex(stored)) where the content gives \(hex(computed))")
    }
    let version = bytes.read(UInt32.self, at: 24)
    guard version >> 16 == 1 else {
      throw VHDDefect("dynamic disk header version", at: 24, "it is \(version >> 16).\(version & 0xffff), not 1.0")
    }
    tableOffset = bytes.read(UInt64.self, at: 16)
    tableEntries = bytes.read(UInt32.self, at: 28)
    blockSize = bytes.read(UInt32.self, at: 32)
    parentIdentifier = VHDIdentifier(high: bytes.read(UInt64.self, at: 40), low: bytes.read(UInt64.self, at: 48))
    parentTimestamp = VHDTimestamp(rawValue: bytes.read(UInt32.self, at: 56))
    let units = stride(from: 64, to: 64 + Self.parentNameBytes, by: 2).map { bytes.read(UInt16.self, at: $0) }
    parentName = Array(units.prefix { $0 != 0 })
    locators = (0..<8).map { VHDParentLocator(bytes, at: 576 + $0 * VHDParentLocator.byteCount) }
    guard blockSize >= 4096, blockSize <= Self.largestBlock, blockSize & (blockSize - 1) == 0 else {
      throw VHDDefect(
        "dynamic disk header block size", at: 32, "\(blockSize) is not a power of two between 4 KiB and 256 MiB")
    }
    guard tableOffset % 512 == 0, tableOffset >= 512, tableOffset <= UInt64(Int64.max) else {
      throw VHDDefect("dynamic disk header table offset", at: 16, "\(hex(tableOffset)) is no place for a table")
    }
    let needed = (diskSize - 1) / UInt64(blockSize) + 1
    guard UInt64(tableEntries) >= needed else {
      throw VHDDefect(
        "dynamic disk header table entries", at: 28, "\(tableEntries) blocks cannot hold a disk that has \(needed)")
    }
    guard needed <= Self.mostBlocks else {
      throw VHDDefect(
        "dynamic disk header block size", at: 32, "a disk of \(diskSize) bytes has too many blocks of \(blockSize)")
    }
  }

  func encoded() -> [UInt8] {
    var bytes = BigEndianBytes(zeroes: Self.byteCount)
    bytes.write(Self.cookie, at: 0)
    bytes.write(UInt64.max, at: 8)
    bytes.write(tableOffset, at: 16)
    bytes.write(UInt32(0x0001_0000), at: 24)
    bytes.write(tableEntries, at: 28)
    bytes.write(blockSize, at: 32)
    bytes.write(parentIdentifier.high, at: 40)
    bytes.write(parentIdentifier.low, at: 48)
    bytes.write(parentTimestamp.rawValue, at: 56)
    // One unit stays for the terminator.
    for (index, unit) in parentName.prefix(Self.parentNameBytes / 2 - 1).enumerated() {
      bytes.write(unit, at: 64 + index * 2)
    }
    for (index, locator) in locators.prefix(8).enumerated() {
      locator.encode(into: &bytes, at: 576 + index * VHDParentLocator.byteCount)
    }
    bytes.write(bytes.checksum(except: 36), at: 36)
    return bytes.bytes
  }

  /// A header's bytes with its table in another place. All the others stay as they are: what some program has left where
  /// this type has no field counts in the checksum.
  static func moved(_ sectors: [UInt8], tableOffset: UInt64, tableEntries: UInt32) -> [UInt8] {
    var bytes = BigEndianBytes(sectors)
    bytes.write(tableOffset, at: 16)
    bytes.write(tableEntries, at: 28)
    bytes.write(bytes.checksum(except: 36), at: 36)
    return bytes.bytes
  }

  /// Bytes of a block's sector bitmap: one bit a sector, whole sectors.
  var bitmapBytes: UInt64 { UInt64(Self.bitmapByteCount(sectors: Int(blockSize / 512))) }
  static func bitmapByteCount(sectors: Int) -> Int { (sectors / 8 + 511) / 512 * 512 }
  /// Bytes of the table, whole sectors.
  var tableBytes: UInt64 { (UInt64(tableEntries) * 4 + 511) / 512 * 512 }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// [MS-VHDX] 2.2.3: where the block table and the metadata lie.
struct VHDXRegions: Equatable, Sendable {
  var blockTable: Range<UInt64>
  var metadata: Range<UInt64>

  private static let entryByteCount = 32
  private static let maximumEntryCount = 2047
  private static let required: UInt32 = 1

  init(blockTable: Range<UInt64>, metadata: Range<UInt64>) {
    self.blockTable = blockTable
    self.metadata = metadata
  }

  /// The first sound one of the two copies. No region overlaps another one, the header section or the log.
  init(in store: any ByteStore, log: Range<UInt64>) throws(ImageError) {
    let size = try store.size()
    for offset in VHDXFormat.regionTableOffsets {
      let table = try store.load("region table", at: offset, count: VHDXFormat.tableByteCount)
      guard table.little(UInt32.self, at: 0) == VHDXFormat.regionTableSignature,
        table.little(UInt32.self, at: 4) == table.checksum(skippingFieldAt: 4)
      else { continue }
      try self.init(decoding: table, at: offset, in: store, size: size, log: log)
      return
    }
    throw store.damaged("region tables", at: VHDXFormat.regionTableOffsets[0], "neither of the two is sound")
  }

  private init(
    decoding table: [UInt8], at place: UInt64, in store: any ByteStore, size: UInt64, log: Range<UInt64>
  ) throws(ImageError) {
    let count = table.little(UInt32.self, at: 8)
    guard count <= Self.maximumEntryCount else {
      throw store.damaged("region table", at: place + 8, "\(count) entries are more than \(Self.maximumEntryCount)")
    }
    var taken = [(0..<VHDXFormat.headerSectionByteCount, "the header section"), (log, "the log")]
    var seen: Set<GUID> = []
    var found: [GUID: Range<UInt64>] = [:]
    for index in 0..<Int(count) {
      let position = 16 + index * Self.entryByteCount
      let entryPlace = place + UInt64(position)
      let kind = table.guid(at: position)
      let offset = table.little(UInt64.self, at: position + 16)
      let length = UInt64(table.little(UInt32.self, at: position + 24))
      let isRequired = table.little(UInt32.self, at: position + 28) & Self.required != 0
      let name = "region table entry \(index)"
      guard seen.insert(kind).inserted else {
        throw store.damaged(name, at: entryPlace, "region \(kind.plainText) is there twice")
      }
      guard offset % VHDXFormat.mebibyte == 0, length % VHDXFormat.mebibyte == 0, length > 0 else {
        throw store.damaged(name, at: entryPlace, "byte \(offset), length \(length) is not a multiple of 1 MiB")
      }
      guard offset <= size, size - offset >= length else {
        throw store.damaged(name, at: entryPlace, "the region at byte \(offset) reaches past the end of the file")
      }
      let range = offset..<offset + length
      for (other, what) in taken where other.overlaps(range) {
        throw store.damaged(name, at: entryPlace, "the region at byte \(offset) overlaps \(what)")
      }
      taken.append((range, "region \(kind.plainText)"))
      found[kind] = range
      if isRequired, kind != VHDXFormat.blockTableRegion, kind != VHDXFormat.metadataRegion {
        throw store.unsupported(name, at: entryPlace, "region \(kind.plainText) is required and not known")
      }
    }
    guard let blockTable = found[VHDXFormat.blockTableRegion] else {
      throw store.damaged("region table", at: place, "there is no block table")
    }
    guard let metadata = found[VHDXFormat.metadataRegion] else {
      throw store.damaged("region table", at: place, "there is no metadata region")
    }
    guard metadata.upperBound - metadata.lowerBound <= VHDXFormat.maximumMetadataRegionByteCount else {
      throw store.unsupported("region table", at: place, "the metadata region is too large")
    }
    self.init(blockTable: blockTable, metadata: metadata)
  }

  /// The whole table of a new file.
  func encoded() -> [UInt8] {
    var table = [UInt8](repeating: 0, count: VHDXFormat.tableByteCount)
    table.setLittle(VHDXFormat.regionTableSignature, at: 0)
    table.setLittle(UInt32(2), at: 8)
    for (index, (kind, range)) in [(VHDXFormat.blockTableRegion, blockTable), (VHDXFormat.metadataRegion, metadata)]
      .enumerated()
    {
      let position = 16 + index * Self.entryByteCount
      table.setGUID(kind, at: position)
      table.setLittle(range.lowerBound, at: position + 16)
      table.setLittle(UInt32(range.upperBound - range.lowerBound), at: position + 24)
      table.setLittle(Self.required, at: position + 28)
    }
    table.setLittle(table.checksum(skippingFieldAt: 4), at: 4)
    return table
  }

  /// Every region of a sound table, the unknown ones too: space that is in use.
  static func all(in store: any ByteStore) throws(ImageError) -> [Range<UInt64>] {
    for offset in VHDXFormat.regionTableOffsets {
      let table = try store.load("region table", at: offset, count: VHDXFormat.tableByteCount)
      guard table.little(UInt32.self, at: 0) == VHDXFormat.regionTableSignature,
        table.little(UInt32.self, at: 4) == table.checksum(skippingFieldAt: 4)
      else { continue }
      return (0..<Int(table.little(UInt32.self, at: 8))).map { index in
        let position = 16 + index * entryByteCount
        let start = table.little(UInt64.self, at: position + 16)
        return start..<start + UInt64(table.little(UInt32.self, at: position + 24))
      }
    }
    return []
  }

  /// The table found in a file, with the block table's place replaced: what a resize logs. Other regions stay.
  static func table(in store: any ByteStore, movingBlockTableTo range: Range<UInt64>) throws(ImageError) -> [UInt8] {
    for offset in VHDXFormat.regionTableOffsets {
      var table = try store.load("region table", at: offset, count: VHDXFormat.tableByteCount)
      guard table.little(UInt32.self, at: 0) == VHDXFormat.regionTableSignature,
        table.little(UInt32.self, at: 4) == table.checksum(skippingFieldAt: 4)
      else { continue }
      for index in 0..<Int(table.little(UInt32.self, at: 8)) {
        let position = 16 + index * entryByteCount
        guard table.guid(at: position) == VHDXFormat.blockTableRegion else { continue }
        table.setLittle(range.lowerBound, at: position + 16)
        table.setLittle(UInt32(range.upperBound - range.lowerBound), at: position + 24)
      }
      table.setLittle(table.checksum(skippingFieldAt: 4), at: 4)
      return table
    }
    throw store.damaged("region tables", at: VHDXFormat.regionTableOffsets[0], "neither of the two is sound")
  }
}

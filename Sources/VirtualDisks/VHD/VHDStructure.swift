// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A VHD file's metadata, read and checked as a whole: what must hold before any of it is used.
///
/// Which footer counts: the one in the last sector says whether the disk is fixed, because the first sector of a fixed
/// disk belongs to the guest. For the others the copy in the first sector counts, which no guest can write.
struct VHDStructure: Sendable {
  var footer: VHDFooter
  var header: VHDDynamicHeader?
  /// The sector number of each block of the disk, `unused` for none.
  var table: [UInt32]
  /// Where the first byte lies that nothing uses, a whole number of sectors; the footer's place is there or behind it.
  var dataEnd: UInt64
  /// Where the footer in the last sector lies, or belongs.
  var footerOffset: UInt64
  var fileByteCount: UInt64
  /// Parent paths as the file writes them, the relative ones in front.
  var parentPaths: [String] = []
  /// What is damaged but has a sound copy.
  var notes: [ImageError] = []

  static let unused = UInt32.max

  var parentReference: ParentReference? {
    guard footer.kind == .differencing, let header else { return nil }
    return ParentReference(paths: parentPaths, identifier: header.parentIdentifier.guid)
  }

  init(reading store: any ByteStore) throws(ImageError) {
    let reader = VHDReader(store)
    fileByteCount = try reader.byteCount()
    guard fileByteCount >= 512 else {
      throw reader.error("footer", at: 0, .damaged("the file has \(fileByteCount) bytes, too few for a VHD"))
    }
    let end = fileByteCount - 512
    let last = try reader.footer(at: end)
    let first = fileByteCount >= 1024 ? try reader.footer(at: 0) : .failure(VHDDefect("footer", at: 0, "none"))

    switch (last, first) {
    case (.success(let footer), _) where footer.kind == .fixed:
      self.footer = footer
    case (.success(let footer), .success(let copy)):
      guard copy.kind == footer.kind, copy.identifier == footer.identifier, copy.dataOffset == footer.dataOffset else {
        throw reader.error(
          "footer", at: end, .damaged("it contradicts its copy in the first sector about type, identifier or header"))
      }
      self.footer = copy
    case (.success(let footer), .failure(let defect)):
      self.footer = footer
      notes.append(reader.error("copy of the footer", at: defect.offset, .damaged(defect.detail)))
    case (.failure(let defect), .success(let copy)) where copy.kind != .fixed:
      footer = copy
      notes.append(reader.error(defect.structure, at: end + defect.offset, .damaged(defect.detail)))
    case (.failure(let defect), _):
      throw reader.error(defect.structure, at: end + defect.offset, .damaged(defect.detail))
    }

    if footer.kind == .fixed {
      guard end >= footer.currentSize else {
        throw reader.error(
          "footer current size", at: end + 48,
          .damaged("the disk has \(footer.currentSize) bytes, the file only \(end) before its footer"))
      }
      table = []
      dataEnd = footer.currentSize
      footerOffset = end
      return
    }

    let header = try reader.header(footer)
    self.header = header
    table = try reader.table(header, diskSize: footer.currentSize)
    var used = UsedRanges(
      [("footer copy", 0..<512), ("dynamic disk header", footer.dataOffset..<footer.dataOffset + 1024)])
    used.add("block allocation table", header.tableOffset..<header.tableOffset + header.tableBytes)
    try reader.checkApart(used)
    if footer.kind == .differencing {
      parentPaths = try reader.parentPaths(header, &used, fileByteCount: fileByteCount)
      try reader.checkApart(used)
    }
    let lastByte = if case .success = last { end } else { fileByteCount }
    dataEnd = try reader.checkBlocks(table, header, used, end: lastByte)
    if case .success = last, end % 512 == 0 {
      footerOffset = end
    } else {
      // A crash left the last sector empty, or somebody cut it off.
      footerOffset = fileByteCount % 512 == 0 && end >= dataEnd ? end : dataEnd
    }
  }
}

/// Named ranges of the file that hold metadata.
struct UsedRanges {
  /// The footer's copy, the header and the table, in front of the paths.
  static let writtenCount = 3

  var ranges: [(name: String, range: Range<UInt64>)]
  init(_ ranges: [(String, Range<UInt64>)]) { self.ranges = ranges.map { (name: $0.0, range: $0.1) } }
  mutating func add(_ name: String, _ range: Range<UInt64>) { ranges.append((name, range)) }
  var end: UInt64 { ranges.map(\.range.upperBound).max() ?? 0 }
}

/// Reads the parts, and turns what is wrong into errors that name file, structure and offset.
private struct VHDReader {
  let store: any ByteStore
  init(_ store: any ByteStore) { self.store = store }

  func error(_ structure: String, at offset: UInt64?, _ reason: ImageError.Reason) -> ImageError {
    ImageError(file: store.name, structure: structure, offset: offset, reason)
  }

  func byteCount() throws(ImageError) -> UInt64 {
    do throws(StoreError) { return try store.byteCount() } catch { throw ImageError(error) }
  }

  func bytes(_ structure: String, at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    do throws(StoreError) { return try store.bytes(at: offset, count: count) } catch {
      guard error.reason == .endOfFile else { throw ImageError(error, structure: structure) }
      throw self.error(structure, at: offset, .damaged("it reaches beyond the end of the file"))
    }
  }

  func footer(at offset: UInt64) throws(ImageError) -> Result<VHDFooter, VHDDefect> {
    let sector = try bytes("footer", at: offset, count: 512)
    do throws(VHDDefect) { return .success(try VHDFooter(decoding: sector)) } catch { return .failure(error) }
  }

  func header(_ footer: VHDFooter) throws(ImageError) -> VHDDynamicHeader {
    let sectors = try bytes("dynamic disk header", at: footer.dataOffset, count: VHDDynamicHeader.byteCount)
    do throws(VHDDefect) {
      return try VHDDynamicHeader(decoding: sectors, diskSize: footer.currentSize)
    } catch {
      throw self.error(error.structure, at: footer.dataOffset &+ error.offset, .damaged(error.detail))
    }
  }

  func table(_ header: VHDDynamicHeader, diskSize: UInt64) throws(ImageError) -> [UInt32] {
    // The table may be longer than the disk: only what is in use is read.
    let count = Int((diskSize - 1) / UInt64(header.blockSize) + 1)
    let bytes = try bytes("block allocation table", at: header.tableOffset, count: count * 4)
    return unsafe [UInt32](unsafeUninitializedCapacity: count) { entries, initialized in
      unsafe bytes.withUnsafeBytes { source in
        for index in 0..<count {
          unsafe entries[index] = unsafe source.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self).bigEndian
        }
      }
      initialized = count
    }
  }

  func parentPaths(
    _ header: VHDDynamicHeader, _ used: inout UsedRanges, fileByteCount: UInt64
  ) throws(ImageError) -> [String] {
    var relative: [String] = []
    var absolute: [String] = []
    for (index, locator) in header.locators.enumerated() where locator.platform != .none && locator.dataLength > 0 {
      let name = "parent locator \(index)"
      // The longest path of Windows has 32767 units.
      guard locator.dataLength <= 65536 else {
        throw error(name, at: locator.dataOffset, .damaged("its path has \(locator.dataLength) bytes"))
      }
      guard locator.dataOffset <= fileByteCount, fileByteCount - locator.dataOffset >= UInt64(locator.dataLength) else {
        throw error(name, at: locator.dataOffset, .damaged("its path reaches beyond the end of the file"))
      }
      let data = try bytes(name, at: locator.dataOffset, count: Int(locator.dataLength))
      used.add(name, locator.dataOffset..<(locator.dataOffset + UInt64(locator.dataLength) + 511) / 512 * 512)
      guard let path = locator.path(from: data) else {
        guard locator.platform == .relative || locator.platform == .absolute else { continue }
        throw error(name, at: locator.dataOffset, .damaged("its path is not UTF-16 text"))
      }
      if locator.platform == .relative { relative.append(path) } else { absolute.append(path) }
    }
    if let name = VHDParentLocator.text(header.parentName) { absolute.append(name) }
    return relative + absolute
  }

  /// What is written must lie in nobody else's place: a table over the header would change it. Paths, which are only read,
  /// may share theirs.
  func checkApart(_ used: UsedRanges) throws(ImageError) {
    for (index, one) in used.ranges.enumerated() {
      for (other, two) in used.ranges[..<index].enumerated() where other < UsedRanges.writtenCount {
        guard one.range.overlaps(two.range) else { continue }
        throw error(one.name, at: one.range.lowerBound, .damaged("it overlaps the \(two.name)"))
      }
    }
  }

  /// Where the last of metadata and blocks ends. No block may reach beyond `end`, into metadata or into another block.
  func checkBlocks(
    _ table: [UInt32], _ header: VHDDynamicHeader, _ used: UsedRanges, end: UInt64
  ) throws(ImageError) -> UInt64 {
    let size = header.bitmapBytes + UInt64(header.blockSize)
    func entry(_ index: Int) -> String { "block allocation table entry \(index)" }
    func place(_ index: Int) -> UInt64 { header.tableOffset + UInt64(index) * 4 }

    var starts: [(sector: UInt32, index: Int)] = []
    for (index, sector) in table.enumerated() where sector != VHDStructure.unused { starts.append((sector, index)) }
    starts.sort { $0.sector < $1.sector }
    var last = used.end
    var previous: (end: UInt64, index: Int)?
    for (sector, index) in starts {
      let start = UInt64(sector) * 512
      guard start + size <= end else {
        throw error(
          entry(index), at: place(index),
          .damaged("its block lies at \(hex(start))…\(hex(start + size)), beyond the end at \(hex(end))"))
      }
      if let previous, start < previous.end {
        throw error(
          entry(index), at: place(index),
          .damaged("its block at \(hex(start)) overlaps that of entry \(previous.index)"))
      }
      previous = (start + size, index)
      last = max(last, start + size)
    }
    for (name, range) in used.ranges {
      guard range.upperBound <= (end + 511) / 512 * 512 || name == "block allocation table" else {
        throw error(name, at: range.lowerBound, .damaged("it reaches beyond the end of the file"))
      }
      if let (sector, index) = overlap(starts, range, size) {
        throw error(
          entry(index), at: place(index), .damaged("its block at \(hex(UInt64(sector) * 512)) overlaps the \(name)"))
      }
    }
    return (last + 511) / 512 * 512
  }

  private func overlap(
    _ starts: [(sector: UInt32, index: Int)], _ range: Range<UInt64>, _ size: UInt64
  ) -> (sector: UInt32, index: Int)? {
    starts.first { UInt64($0.sector) * 512 < range.upperBound && UInt64($0.sector) * 512 + size > range.lowerBound }
  }
}

extension VHDIdentifier {
  /// The same 16 bytes.
  var guid: GUID { GUID(low: high.byteSwapped, high: low.byteSwapped) }
  init(_ guid: GUID) { self.init(high: guid.low.byteSwapped, low: guid.high.byteSwapped) }
}

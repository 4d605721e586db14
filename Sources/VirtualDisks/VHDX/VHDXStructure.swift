// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A VHDX file whose structures have been read and checked, and whose parent, if it has one, is not open yet.
///
/// A log that wants replay is replayed into the file, or, read-only, into memory. Every entry of the block table is
/// checked: inside the file, apart from all metadata and from one another.
public struct VHDXStructure: Sendable {
  /// The file, or, read-only with a log to replay, an overlay of it.
  let store: any ByteStore
  let isReadOnly: Bool
  let headers: VHDXHeaders
  let regions: VHDXRegions
  let metadata: VHDXMetadata
  let space: VHDXSpace
  /// The file was not closed after it was last written to.
  public let neededReplay: Bool

  public init(reading base: any ByteStore, readOnly: Bool = false) throws(ImageError) {
    isReadOnly = readOnly || base.isReadOnly
    var headers = try VHDXHeaders(in: base)
    neededReplay = headers.current.logIdentifier != .zero
    store = try Self.replayed(base, &headers, isReadOnly: isReadOnly)
    self.headers = headers
    let log = headers.current.logRange
    regions = try VHDXRegions(in: store, log: log)
    metadata = try VHDXMetadata(in: store, region: regions.metadata)
    let geometry = metadata.geometry
    let length = regions.blockTable.upperBound - regions.blockTable.lowerBound
    guard geometry.tableByteCount <= length else {
      throw store.damaged(
        "block table", at: regions.blockTable.lowerBound,
        "\(length) bytes are too few for the disk's \(geometry.entryCount) entries")
    }
    var space = VHDXSpace(blockByteCount: geometry.blockByteCount, fileByteCount: try store.size())
    _ = space.take(0..<VHDXFormat.headerSectionByteCount)
    _ = space.take(log)
    for region in try VHDXRegions.all(in: store) { _ = space.take(region) }
    try Self.scan(geometry, regions.blockTable, in: store, &space)
    space.beginAllocating()
    self.space = space
  }

  public var information: ImageInformation {
    ImageInformation(
      metadata.geometry, isReadOnly: isReadOnly, diskIdentifier: metadata.diskIdentifier,
      identifier: headers.current.dataWriteIdentifier, parent: parentReference)
  }

  public var parentReference: ParentReference? { metadata.parentLocator?.reference }

  /// Why `parent` is not the image that this one was made on, as it was then. Two images of one disk with different sectors
  /// never belong together.
  public func checkParent(
    _ parent: ImageInformation, ignoringIdentifier: Bool = false
  ) throws(ImageError) {
    guard let locator = metadata.parentLocator else { return }
    func wrong(_ what: String) -> ImageError {
      ImageError(file: store.name, structure: "parent locator", .parent(what))
    }
    guard UInt64(parent.logicalSectorByteCount) == metadata.geometry.logicalSectorByteCount else {
      throw wrong(
        "the parent's sectors have \(parent.logicalSectorByteCount) bytes, "
          + "this image's \(metadata.geometry.logicalSectorByteCount)")
    }
    guard !ignoringIdentifier, let identifier = parent.identifier else { return }
    guard identifier == locator.linkage || identifier == locator.secondLinkage else {
      throw wrong(
        "the parent is another image or was written to after this one was made on it: its data has the identifier "
          + "\(identifier.plainText) and should have \(locator.linkage?.plainText ?? "none")")
    }
  }

  private static func replayed(
    _ store: any ByteStore, _ headers: inout VHDXHeaders, isReadOnly: Bool
  ) throws(ImageError) -> any ByteStore {
    guard headers.current.logIdentifier != .zero else { return store }
    let reader = VHDXLogReader(store, header: headers.current)
    let sequence = try reader.activeSequence()
    if isReadOnly {
      let overlay: OverlayStore
      do throws(StoreError) { overlay = try OverlayStore(store) } catch { throw ImageError(error) }
      try reader.replay(sequence, to: overlay)
      return overlay
    }
    try reader.replay(sequence, to: store)
    // What was replayed must be durable before the header says that there is nothing to replay.
    try store.makeDurable("log replay")
    try headers.update(in: store) { header in
      header.logIdentifier = .zero
      header.fileWriteIdentifier = .random()
    }
    return store
  }

  /// Reads the whole block table once and takes the space of every block.
  private static func scan(
    _ geometry: VHDXGeometry, _ table: Range<UInt64>, in store: any ByteStore, _ space: inout VHDXSpace
  ) throws(ImageError) {
    let size = try store.size()
    let entryCount = geometry.entryCount
    var index: UInt64 = 0
    while index < entryCount {
      let part = min(entryCount - index, 1 << 17)
      let bytes = try store.load("block table", at: table.lowerBound + index * 8, count: Int(part) * 8)
      // Most of a large table says nothing.
      var place = 0
      if bytes.isZero {
        place = bytes.count
        index += part
      }
      while place < bytes.count {
        let entry = VHDXBlockEntry(rawValue: bytes.little(UInt64.self, at: place))
        if entry.rawValue != 0 {
          if let flaw = check(entry, index, geometry, size, &space) {
            throw store.damaged("block table entry \(index)", at: table.lowerBound + index * 8, flaw)
          }
        }
        place += 8
        index += 1
      }
    }
    guard geometry.hasParent else { return }
    // A second look, because a bitmap's entry comes after those of its blocks.
    try checkPartialBlocks(geometry, table, in: store)
  }

  private static func check(
    _ entry: VHDXBlockEntry, _ index: UInt64, _ geometry: VHDXGeometry, _ size: UInt64, _ space: inout VHDXSpace
  ) -> String? {
    let byteCount: UInt64
    let needed: UInt64
    if let block = geometry.block(ofEntry: index) {
      // A chunk at the end of a differencing disk has entries for blocks that do not exist.
      guard block < geometry.blockCount else {
        return entry.state.hasSpace ? "it belongs to no block of the disk" : nil
      }
      if let flaw = VHDXState.flaw(entry, geometry) { return flaw }
      byteCount = geometry.blockByteCount
      // The last block may be cut short in the file as it is in the disk.
      needed = min(byteCount, geometry.virtualByteCount - block * byteCount)
    } else {
      // Without a parent these entries have no meaning, and a well-known writer leaves rubbish in them.
      guard geometry.hasParent else { return nil }
      if let flaw = VHDXState.bitmapFlaw(entry, geometry) { return flaw }
      byteCount = VHDXFormat.bitmapByteCount
      needed = byteCount
    }
    guard entry.state.hasSpace else { return nil }
    guard entry.offset <= size, size - entry.offset >= needed else {
      return "byte \(entry.offset) is past the end of the file"
    }
    guard space.take(entry.offset..<entry.offset + byteCount) else {
      return "byte \(entry.offset) is in use by something else"
    }
    return nil
  }

  private static func checkPartialBlocks(
    _ geometry: VHDXGeometry, _ table: Range<UInt64>, in store: any ByteStore
  ) throws(ImageError) {
    let perChunk = Int(geometry.chunkRatio + 1)
    for chunk in 0..<geometry.chunkCount {
      let first = chunk * (geometry.chunkRatio + 1)
      let bytes = try store.load("block table", at: table.lowerBound + first * 8, count: perChunk * 8)
      let bitmap = VHDXBlockEntry(rawValue: bytes.little(UInt64.self, at: (perChunk - 1) * 8))
      guard !bitmap.state.hasSpace else { continue }
      for place in 0..<perChunk - 1 {
        let entry = VHDXBlockEntry(rawValue: bytes.little(UInt64.self, at: place * 8))
        guard entry.state == .partiallyPresent else { continue }
        let index = first + UInt64(place)
        throw store.damaged(
          "block table entry \(index)", at: table.lowerBound + index * 8,
          "the block is partially present without a sector bitmap")
      }
    }
  }
}

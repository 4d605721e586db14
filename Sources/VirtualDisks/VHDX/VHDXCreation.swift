// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a new VHDX file is to be. Defaults as Hyper-V chooses them.
public struct VHDXCreation: Sendable {
  public struct Parent: Sendable {
    /// The parent's data write identifier when the child is made.
    public var identifier: GUID
    /// From the child's folder, with backslashes, e.g. `.\base.vhdx`.
    public var relativePath: String?
    public var absolutePath: String?

    public init(identifier: GUID, relativePath: String?, absolutePath: String?) {
      self.identifier = identifier
      self.relativePath = relativePath
      self.absolutePath = absolutePath
    }
  }

  public var kind: ImageKind
  public var virtualByteCount: UInt64
  public var blockByteCount: UInt32
  public var logicalSectorByteCount: UInt32 = 512
  public var physicalSectorByteCount: UInt32 = 4096
  public var logByteCount: UInt32 = 1 << 20
  public var diskIdentifier = GUID.random()
  public var dataWriteIdentifier = GUID.random()
  public var parent: Parent?
  /// Of a fixed disk: take all of its space from the host now.
  public var reservesSpace = true

  public init(kind: ImageKind, virtualByteCount: UInt64, blockByteCount: UInt32? = nil) {
    self.kind = kind
    self.virtualByteCount = virtualByteCount
    self.blockByteCount = blockByteCount ?? (kind == .differencing ? 2 << 20 : 32 << 20)
  }

  /// A child of `parent`, of the same size and sectors.
  public init(
    childOf parent: ImageInformation, relativePath: String?, absolutePath: String?, blockByteCount: UInt32? = nil
  ) {
    self.init(
      kind: .differencing, virtualByteCount: parent.virtualByteCount, blockByteCount: blockByteCount)
    logicalSectorByteCount = parent.logicalSectorByteCount
    physicalSectorByteCount = parent.physicalSectorByteCount
    self.parent = Parent(
      identifier: parent.identifier ?? .zero, relativePath: relativePath, absolutePath: absolutePath)
  }
}

extension VHDXImage {
  /// Makes an image in an empty store. The file identifier comes last: a file whose making was cut short is no image.
  public static func create(_ creation: VHDXCreation, in store: any ByteStore) throws(ImageError) {
    let geometry = VHDXGeometry(
      virtualByteCount: creation.virtualByteCount, blockByteCount: UInt64(creation.blockByteCount),
      logicalSectorByteCount: UInt64(creation.logicalSectorByteCount),
      physicalSectorByteCount: UInt64(creation.physicalSectorByteCount),
      hasParent: creation.kind == .differencing, isFixed: creation.kind == .fixed)
    let locator = try check(creation, geometry, store)
    let unit = VHDXFormat.mebibyte
    let log = unit..<unit + UInt64(creation.logByteCount)
    let metadata = log.upperBound..<log.upperBound + unit
    let tableByteCount = (geometry.tableByteCount + unit - 1) / unit * unit
    let table = metadata.upperBound..<metadata.upperBound + tableByteCount

    try store.resize(to: table.upperBound)
    // A log without space would fail at the moment when it is needed most.
    do throws(StoreError) { try store.reserve(at: log.lowerBound, count: UInt64(creation.logByteCount)) } catch {
      throw ImageError(error, structure: "log")
    }
    if geometry.isFixed { try fillFixed(creation, geometry, table, in: store) }
    let items = VHDXMetadata.encode(geometry, diskIdentifier: creation.diskIdentifier, parentLocator: locator)
    try store.save("metadata", items.bytes, at: metadata.lowerBound)
    let regions = VHDXRegions(blockTable: table, metadata: metadata).encoded()
    for offset in VHDXFormat.regionTableOffsets { try store.save("region table", regions, at: offset) }
    var header = VHDXHeader(
      sequenceNumber: 1, fileWriteIdentifier: .random(), dataWriteIdentifier: creation.dataWriteIdentifier,
      logByteCount: creation.logByteCount, logOffset: log.lowerBound)
    for offset in VHDXFormat.headerOffsets {
      try store.save("header", header.encoded(), at: offset)
      header.sequenceNumber += 1
    }
    try store.makeDurable()
    var identifier = [UInt8](repeating: 0, count: 8)
    identifier.setLittle(VHDXFormat.fileSignature, at: 0)
    for unit in "swift-lis".utf16 {
      identifier += [UInt8(truncatingIfNeeded: unit), UInt8(truncatingIfNeeded: unit >> 8)]
    }
    try store.save("file identifier", identifier, at: 0)
    try store.makeDurable()
  }

  private static func check(
    _ creation: VHDXCreation, _ geometry: VHDXGeometry, _ store: any ByteStore
  ) throws(ImageError) -> VHDXParentLocator? {
    if let flaw = geometry.flaw { throw store.invalid("new image", flaw) }
    let log = UInt64(creation.logByteCount)
    guard log > 0, log % VHDXFormat.mebibyte == 0, log <= VHDXFormat.maximumLogByteCount else {
      throw store.invalid("new image", "a log of \(log) bytes is not a multiple of 1 MiB up to 1 GiB")
    }
    guard try store.size() == 0 else { throw store.invalid("new image", "the file is not empty") }
    guard creation.kind == .differencing else {
      if creation.parent != nil { throw store.invalid("new image", "only a differencing image has a parent") }
      return nil
    }
    guard let parent = creation.parent else {
      throw store.invalid("new image", "a differencing image needs a parent")
    }
    var locator = VHDXParentLocator(pairs: [
      .init(key: VHDXParentLocator.linkageKey, value: parent.identifier.bracedText)
    ])
    if let path = parent.relativePath { locator.pairs.append(.init(key: "relative_path", value: path)) }
    if let path = parent.absolutePath { locator.pairs.append(.init(key: "absolute_win32_path", value: path)) }
    guard !locator.paths.isEmpty else { throw store.invalid("new image", "the parent needs a path") }
    guard locator.pairs.allSatisfy({ !$0.value.isEmpty && $0.value.utf16.count <= 32_767 }) else {
      throw store.invalid("new image", "a path of the parent is empty or too long")
    }
    return locator
  }

  /// Every block in order behind the table.
  private static func fillFixed(
    _ creation: VHDXCreation, _ geometry: VHDXGeometry, _ table: Range<UInt64>, in store: any ByteStore
  ) throws(ImageError) {
    let size = geometry.blockCount * geometry.blockByteCount
    if creation.reservesSpace {
      do throws(StoreError) { try store.reserve(at: table.upperBound, count: size) } catch { throw ImageError(error) }
    } else {
      try store.resize(to: table.upperBound + size)
    }
    var index: UInt64 = 0
    while index < geometry.entryCount {
      let part = min(geometry.entryCount - index, 1 << 17)
      var bytes = [UInt8](repeating: 0, count: Int(part) * 8)
      for place in 0..<part {
        guard let block = geometry.block(ofEntry: index + place) else { continue }
        let entry = VHDXBlockEntry(.fullyPresent, at: table.upperBound + block * geometry.blockByteCount)
        bytes.setLittle(entry.rawValue, at: Int(place) * 8)
      }
      try store.save("block table", bytes, at: table.lowerBound + index * 8)
      index += part
    }
  }
}

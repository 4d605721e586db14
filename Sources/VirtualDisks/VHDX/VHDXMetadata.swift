// SPDX-License-Identifier: Apache-2.0

import VMBus

/// [MS-VHDX] 2.6: the metadata region's table and the items that this program knows.
struct VHDXMetadata: Equatable, Sendable {
  var geometry: VHDXGeometry
  var diskIdentifier: GUID
  var parentLocator: VHDXParentLocator?
  /// Byte offset in the file of the virtual disk size: what a resize changes.
  var virtualSizeOffset: UInt64

  private struct Item {
    var index: Int
    var offset: UInt64
    var byteCount: Int
    var isRequired: Bool
  }

  private static let entryByteCount = 32
  private static let maximumEntryCount = 2047
  private static let maximumUserEntryCount = 1024
  private static let maximumItemByteCount = 1 << 20
  private enum Flag {
    static let user: UInt32 = 1
    static let virtualDisk: UInt32 = 2
    static let required: UInt32 = 4
  }
  private static let known: Set<GUID> = [
    VHDXFormat.fileParametersItem, VHDXFormat.virtualDiskSizeItem, VHDXFormat.virtualDiskIdentifierItem,
    VHDXFormat.logicalSectorSizeItem, VHDXFormat.physicalSectorSizeItem, VHDXFormat.parentLocatorItem,
  ]

  init(in store: any ByteStore, region: Range<UInt64>) throws(ImageError) {
    let items = try Self.table(in: store, region: region)
    func item(_ kind: GUID, _ name: String, count: Int) throws(ImageError) -> (bytes: [UInt8], offset: UInt64) {
      guard let item = items[kind] else { throw store.damaged(name, at: region.lowerBound, "the item is missing") }
      guard item.byteCount == count else {
        throw store.damaged(name, at: item.offset, "\(item.byteCount) bytes instead of \(count)")
      }
      return (try store.load(name, at: item.offset, count: count), item.offset)
    }
    let parameters = try item(VHDXFormat.fileParametersItem, "file parameters", count: 8)
    let size = try item(VHDXFormat.virtualDiskSizeItem, "virtual disk size", count: 8)
    let logical = try item(VHDXFormat.logicalSectorSizeItem, "logical sector size", count: 4)
    let physical = try item(VHDXFormat.physicalSectorSizeItem, "physical sector size", count: 4)
    let flags = parameters.bytes.little(UInt32.self, at: 4)
    geometry = VHDXGeometry(
      virtualByteCount: size.bytes.little(UInt64.self, at: 0),
      blockByteCount: UInt64(parameters.bytes.little(UInt32.self, at: 0)),
      logicalSectorByteCount: UInt64(logical.bytes.little(UInt32.self, at: 0)),
      physicalSectorByteCount: UInt64(physical.bytes.little(UInt32.self, at: 0)),
      hasParent: flags & 2 != 0, isFixed: flags & 1 != 0)
    if let flaw = geometry.flaw { throw store.damaged("metadata", at: parameters.offset, flaw) }
    diskIdentifier = try item(VHDXFormat.virtualDiskIdentifierItem, "virtual disk identifier", count: 16).bytes.guid(
      at: 0)
    virtualSizeOffset = size.offset
    if geometry.hasParent {
      guard let item = items[VHDXFormat.parentLocatorItem] else {
        throw store.damaged("parent locator", at: region.lowerBound, "the item is missing")
      }
      let bytes = try store.load("parent locator", at: item.offset, count: item.byteCount)
      parentLocator = try VHDXParentLocator(decoding: bytes, in: store, at: item.offset)
    }
  }

  private static func table(in store: any ByteStore, region: Range<UInt64>) throws(ImageError) -> [GUID: Item] {
    let place = region.lowerBound
    let table = try store.load("metadata table", at: place, count: VHDXFormat.tableByteCount)
    guard table.little(UInt64.self, at: 0) == VHDXFormat.metadataTableSignature else {
      throw store.damaged("metadata table", at: place, "its signature is wrong")
    }
    let count = Int(table.little(UInt16.self, at: 10))
    guard count <= maximumEntryCount else {
      throw store.damaged("metadata table", at: place + 10, "\(count) entries are more than \(maximumEntryCount)")
    }
    var items: [GUID: Item] = [:]
    var seen: Set<[UInt64]> = []
    var ranges: [(range: Range<UInt64>, index: Int)] = []
    var userCount = 0
    for index in 0..<count {
      let position = 32 + index * entryByteCount
      let name = "metadata table entry \(index)"
      func damaged(_ what: String) -> ImageError { store.damaged(name, at: place + UInt64(position), what) }
      let kind = table.guid(at: position)
      let offset = UInt64(table.little(UInt32.self, at: position + 16))
      let length = UInt64(table.little(UInt32.self, at: position + 20))
      let flags = table.little(UInt32.self, at: position + 24)
      let isUser = flags & Flag.user != 0
      guard kind != .zero else { throw damaged("it has no identifier") }
      guard seen.insert([kind.low, kind.high, isUser ? 1 : 0]).inserted else {
        throw damaged("item \(kind.plainText) is there twice")
      }
      guard length <= maximumItemByteCount else { throw damaged("\(length) bytes are more than 1 MiB") }
      if length == 0 {
        guard offset == 0 else { throw damaged("an empty item has the place \(offset)") }
      } else {
        guard offset >= VHDXFormat.tableByteCount, offset + length <= region.upperBound - region.lowerBound else {
          throw damaged("the item at \(offset), \(length) bytes, lies outside the metadata region")
        }
        ranges.append((offset..<offset + length, index))
      }
      if isUser {
        userCount += 1
        guard flags & Flag.required == 0 else { throw damaged("a user's item is marked as required") }
        guard userCount <= maximumUserEntryCount else {
          throw damaged("there are more than \(maximumUserEntryCount) user's items")
        }
        continue
      }
      guard known.contains(kind) || flags & Flag.required == 0 else {
        throw store.unsupported(name, at: place + UInt64(position), "item \(kind.plainText) is required and not known")
      }
      items[kind] = Item(
        index: index, offset: place + offset, byteCount: Int(length), isRequired: flags & Flag.required != 0)
    }
    ranges.sort { $0.range.lowerBound < $1.range.lowerBound }
    for (one, next) in zip(ranges, ranges.dropFirst()) where one.range.overlaps(next.range) {
      throw store.damaged(
        "metadata table entry \(next.index)", at: place, "the item overlaps that of entry \(one.index)")
    }
    return items
  }

  /// The table and items of a new file: the front of the metadata region, and where in the region the disk's size is.
  static func encode(
    _ geometry: VHDXGeometry, diskIdentifier: GUID, parentLocator: VHDXParentLocator?
  ) -> (bytes: [UInt8], virtualSizeOffset: Int) {
    var bytes = [UInt8](repeating: 0, count: VHDXFormat.tableByteCount)
    bytes.setLittle(VHDXFormat.metadataTableSignature, at: 0)
    var count = 0
    func add(_ kind: GUID, _ flags: UInt32, _ item: [UInt8]) -> Int {
      let position = 32 + count * entryByteCount
      let offset = bytes.count
      bytes.setGUID(kind, at: position)
      bytes.setLittle(UInt32(offset), at: position + 16)
      bytes.setLittle(UInt32(item.count), at: position + 20)
      bytes.setLittle(flags, at: position + 24)
      bytes += item
      // Items begin at multiples of eight, so that none of a fixed size straddles a page.
      while bytes.count % 8 != 0 { bytes.append(0) }
      count += 1
      return offset
    }
    var parameters = [UInt8](repeating: 0, count: 8)
    parameters.setLittle(UInt32(geometry.blockByteCount), at: 0)
    parameters.setLittle(UInt32((geometry.isFixed ? 1 : 0) | (geometry.hasParent ? 2 : 0)), at: 4)
    _ = add(VHDXFormat.fileParametersItem, Flag.required, parameters)
    var size = [UInt8](repeating: 0, count: 8)
    size.setLittle(geometry.virtualByteCount, at: 0)
    let sizeOffset = add(VHDXFormat.virtualDiskSizeItem, Flag.virtualDisk | Flag.required, size)
    var identifier = [UInt8](repeating: 0, count: 16)
    identifier.setGUID(diskIdentifier, at: 0)
    _ = add(VHDXFormat.virtualDiskIdentifierItem, Flag.virtualDisk | Flag.required, identifier)
    for (kind, value) in [
      (VHDXFormat.logicalSectorSizeItem, geometry.logicalSectorByteCount),
      (VHDXFormat.physicalSectorSizeItem, geometry.physicalSectorByteCount),
    ] {
      var item = [UInt8](repeating: 0, count: 4)
      item.setLittle(UInt32(value), at: 0)
      _ = add(kind, Flag.virtualDisk | Flag.required, item)
    }
    if let parentLocator { _ = add(VHDXFormat.parentLocatorItem, Flag.required, parentLocator.encoded()) }
    bytes.setLittle(UInt16(count), at: 10)
    return (bytes, sizeOffset)
  }
}

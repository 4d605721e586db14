// SPDX-License-Identifier: Apache-2.0

/// `lis disk create`: a new, empty image.
public struct ImageCreation: Sendable {
  public var path: String
  /// nil: what the name says.
  public var format: ImageFormat?
  /// nil: dynamic where the format has it, differencing when there is a parent.
  public var kind: ImageKind?
  /// nil: the parent's.
  public var byteCount: UInt64?
  public var blockByteCount: UInt32?
  public var sectorByteCount: UInt32?
  public var physicalSectorByteCount: UInt32?
  public var parentPath: String?
  /// nil: fixed VHD and VHDX get all their space at once, raw disks do not.
  public var preallocates: Bool?
  public var overwrites = false

  public init(path: String, byteCount: UInt64? = nil) {
    self.path = path
    self.byteCount = byteCount
  }

  public func perform() throws(OperationError) {
    let format = try onImage { () throws(ImageError) in try ImageFormat.of(path, self.format) }
    guard format != .iso else {
      throw .refused("an empty ISO image is no use", remedy: "make one with xorriso or genisoimage")
    }
    var parent: ImageBlueprint.Parent?
    if let parentPath { parent = try openParent(parentPath, format) }
    let kind = try chosenKind(format, hasParent: parent != nil)
    let parentInformation = parent?.image.information
    guard let byteCount = byteCount ?? parentInformation?.virtualByteCount else {
      throw .refused("\(path): no size is given", remedy: "give one such as 10G")
    }
    if let parentInformation, byteCount < parentInformation.virtualByteCount {
      throw .refused(
        "\(byteCount) bytes are less than the parent's \(parentInformation.virtualByteCount)",
        remedy: "leave the size out, or give a larger one")
    }
    let sectors = try Self.sectors(
      format, sectorByteCount ?? parentInformation?.logicalSectorByteCount,
      physicalSectorByteCount ?? parentInformation?.physicalSectorByteCount)
    let blueprint = ImageBlueprint(
      format: format, kind: kind, byteCount: byteCount, blockByteCount: blockByteCount,
      sectorByteCount: sectors.logical, physicalSectorByteCount: sectors.physical,
      preallocates: preallocates ?? (kind == .fixed && format != .raw), parent: parent)
    if blockByteCount != nil, kind == .fixed, format != .vhdx {
      throw .refused("a fixed \(format.rawValue) image has no blocks", remedy: "leave the block size out")
    }
    let file = try NewFile(path, overwrites: overwrites)
    let image = try blueprint.make(in: file, at: path)
    try onImage { () throws(ImageError) in try image.close() }
    try file.publish()
  }

  private func openParent(_ parentPath: String, _ format: ImageFormat) throws(OperationError) -> ImageBlueprint.Parent {
    guard format == .vhd || format == .vhdx else {
      throw .refused("a \(format.rawValue) image cannot have a parent", remedy: "make it a .vhdx or .vhd")
    }
    if let there = ImageFormat(fileName: parentPath), there != format {
      throw .refused(
        "the parent \(parentPath) is a \(there.rawValue) image by its name, the child would be \(format.rawValue)",
        remedy: "parent and child have the same format; convert one of them")
    }
    if let own = FileIdentity(path), own == FileIdentity(parentPath) {
      throw .refused("\(path) cannot be its own parent", remedy: "give the child another name")
    }
    var options = ImageChain.Options()
    options.format = format
    let chain = try onImage { () throws(ImageError) in try ImageChain.open(parentPath, options) }
    return ImageBlueprint.Parent(image: chain.image, path: FileIdentity.resolved(parentPath) ?? parentPath)
  }

  private func chosenKind(_ format: ImageFormat, hasParent: Bool) throws(OperationError) -> ImageKind {
    let kind = kind ?? (hasParent ? .differencing : format == .raw ? .fixed : .dynamic)
    switch (kind, format) {
    case (.dynamic, .raw), (.differencing, .raw):
      throw .refused("a raw image is always fixed", remedy: "make it a .vhdx, or leave the kind out")
    case (.differencing, _) where !hasParent:
      throw .refused("a differencing image needs a parent", remedy: "name one with --parent")
    case (.fixed, _) where hasParent, (.dynamic, _) where hasParent:
      throw .refused("a \(kind.rawValue) image has no parent", remedy: "leave the parent or the kind out")
    default: return kind
    }
  }

  static func sectors(
    _ format: ImageFormat, _ logical: UInt32?, _ physical: UInt32?
  ) throws(OperationError) -> (logical: UInt32, physical: UInt32) {
    let logical = logical ?? 512
    let physical = physical ?? (format == .vhdx ? 4096 : logical)
    switch format {
    case .vhd:
      guard logical == 512, physical == 512 else {
        throw .refused("sectors of a VHD have 512 bytes", remedy: "use a .vhdx for others")
      }
    case .vhdx, .raw:
      guard [512, 4096].contains(logical), [512, 4096].contains(physical), physical >= logical else {
        throw .refused(
          "sectors of \(logical) bytes on physical ones of \(physical) are not possible", remedy: "give 512 or 4096")
      }
    case .iso: return (2048, 2048)
    }
    return (logical, physical)
  }
}

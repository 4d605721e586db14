// SPDX-License-Identifier: Apache-2.0

/// `lis disk convert`: the same disk in another format or kind, as a new file. A chain becomes one image.
public struct ImageConversion: Sendable {
  public var source: String
  public var sourceOptions = ImageChain.Options()
  public var target: String
  /// nil: what the name says.
  public var format: ImageFormat?
  /// nil: dynamic where the format has it.
  public var kind: ImageKind?
  public var blockByteCount: UInt32?
  /// nil: the source's.
  public var sectorByteCount: UInt32?
  public var physicalSectorByteCount: UInt32?
  public var preallocates: Bool?
  public var overwrites = false

  public init(from source: String, to target: String) {
    self.source = source
    self.target = target
  }

  public func perform(_ control: OperationControl = OperationControl()) throws(OperationError) {
    let format = try onImage { () throws(ImageError) in try ImageFormat.of(target, self.format) }
    if let own = FileIdentity(source), own == FileIdentity(target) {
      throw .refused("\(target) is the source itself", remedy: "give the new image another name")
    }
    let chain = try onImage { () throws(ImageError) in try ImageChain.open(source, sourceOptions) }
    let information = chain.image.information
    let kind = kind ?? (format == .raw || format == .iso ? .fixed : .dynamic)
    guard kind != .differencing else {
      throw .refused("conversion makes images without a parent", remedy: "use fixed or dynamic")
    }
    guard kind == .fixed || format == .vhd || format == .vhdx else {
      throw .refused("a \(format.rawValue) image is always fixed", remedy: "leave the kind out")
    }
    let sectors = try sectors(information, format)
    let blueprint = ImageBlueprint(
      format: format, kind: kind, byteCount: information.virtualByteCount, blockByteCount: blockByteCount,
      sectorByteCount: sectors.logical, physicalSectorByteCount: sectors.physical,
      preallocates: preallocates ?? (kind == .fixed && format != .raw && format != .iso))
    let file = try NewFile(target, overwrites: overwrites)
    let image = try blueprint.make(in: file, at: target)
    try ImageCopy(control: control, file: file.store.directDescriptor).copy(chain.image, to: image)
    try onImage { () throws(ImageError) in try image.close() }
    try file.publish()
  }

  /// A guest's partition table counts in sectors: another size is for those who know that they want it.
  private func sectors(
    _ information: ImageInformation, _ format: ImageFormat
  ) throws(OperationError) -> (logical: UInt32, physical: UInt32) {
    let isOptical = information.format == .iso || format == .iso
    guard !isOptical else { return try ImageCreation.sectors(format, sectorByteCount, physicalSectorByteCount) }
    if format == .vhd, information.logicalSectorByteCount != 512, sectorByteCount == nil {
      throw .refused(
        "\(source) has sectors of \(information.logicalSectorByteCount) bytes, a VHD has 512, and a guest's partition table "
          + "would not fit", remedy: "convert to .vhdx, or say --sector-size 512 if that does not matter")
    }
    let logical = sectorByteCount ?? information.logicalSectorByteCount
    let physical = physicalSectorByteCount ?? (format == .vhd ? 512 : max(logical, information.physicalSectorByteCount))
    return try ImageCreation.sectors(format, logical, physical)
  }
}

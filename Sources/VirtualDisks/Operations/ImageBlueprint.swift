// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a new image shall be, in every detail, and how it is made in a file under construction.
struct ImageBlueprint {
  struct Parent {
    var image: any DiskImage
    /// Absolute, without links.
    var path: String
  }

  /// What a copy has in common with its original, so that the original's children take it for their parent.
  struct Identity {
    var information: ImageInformation
    var vhdTimestamp: VHDTimestamp?

    init(of image: any DiskImage) {
      information = image.information
      vhdTimestamp = (image as? VHDImage)?.timestamp
    }
  }

  var format: ImageFormat
  var kind: ImageKind
  var byteCount: UInt64
  var blockByteCount: UInt32?
  var sectorByteCount: UInt32 = 512
  var physicalSectorByteCount: UInt32 = 512
  var preallocates = false
  var parent: Parent?
  var identity: Identity?

  /// Makes the empty image and opens it to write. `path`: its final place.
  func make(in file: NewFile, at path: String) throws(OperationError) -> any DiskImage {
    switch format {
    case .raw, .iso:
      let sector: UInt32 = format == .iso ? 2048 : sectorByteCount
      try onImage { () throws(ImageError) in try RawImage.checkSize(byteCount, sector, path) }
      if preallocates { try file.preallocate(byteCount) }
      try onStore { () throws(StoreError) in try file.store.setByteCount(byteCount) }
      return try onImage { () throws(ImageError) in
        try RawImage.disk(file.store, sectorByteCount: format == .iso ? 512 : sector)
      }
    case .vhd: return try makeVHD(in: file, at: path)
    case .vhdx: return try makeVHDX(in: file, at: path)
    }
  }

  private func makeVHDX(in file: NewFile, at path: String) throws(OperationError) -> any DiskImage {
    var creation = VHDXCreation(kind: kind, virtualByteCount: byteCount, blockByteCount: blockByteCount)
    creation.logicalSectorByteCount = sectorByteCount
    creation.physicalSectorByteCount = physicalSectorByteCount
    creation.reservesSpace = preallocates
    if let identifier = identity?.information.identifier { creation.dataWriteIdentifier = identifier }
    if let identifier = identity?.information.diskIdentifier { creation.diskIdentifier = identifier }
    if let parent {
      let folder = FileIdentity.folder(of: path)
      let relative = RelativePath.from(FileIdentity.resolved(folder) ?? folder, to: parent.path)
      creation.parent = VHDXCreation.Parent(
        identifier: parent.image.information.identifier ?? .zero, relativePath: WindowsPath.windowsPath(relative),
        absolutePath: parent.path)
    }
    return try onImage { () throws(ImageError) in
      try VHDXImage.create(creation, in: file.store)
      let structure = try VHDXStructure(reading: file.store)
      return try VHDXImage(structure, parent: parent?.image, keepsIdentifier: identity != nil)
    }
  }

  private func makeVHD(in file: NewFile, at path: String) throws(OperationError) -> any DiskImage {
    var creation = VHDCreation(byteCount: byteCount, kind: kind)
    if let blockByteCount { creation.blockByteCount = blockByteCount }
    if let identifier = identity?.information.identifier { creation.identifier = identifier }
    if let timestamp = identity?.vhdTimestamp { creation.timestamp = timestamp }
    if let parent, let image = parent.image as? VHDImage {
      let folder = FileIdentity.folder(of: path)
      creation.parent = VHDCreation.Parent(
        identifier: image.information.identifier ?? VHDIdentifier.none.guid, timestamp: image.timestamp,
        relativePath: RelativePath.from(FileIdentity.resolved(folder) ?? folder, to: parent.path),
        absolutePath: parent.path)
    }
    if preallocates, kind == .fixed { try file.preallocate(byteCount + 512) }
    return try onImage { () throws(ImageError) in
      try creation.write(to: file.store)
      let structure = try VHDStructure(reading: file.store)
      return VHDImage(file.store, structure, parent: parent?.image, keepsTimestamp: true)
    }
  }
}

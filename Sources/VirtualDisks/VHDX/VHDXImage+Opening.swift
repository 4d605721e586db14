// SPDX-License-Identifier: Apache-2.0

extension VHDXImage {
  /// What a resize adds to a commit: a page of the metadata, one or two of each region table.
  private static let resizePageCount = 8

  /// `parent` has been checked by the caller (`VHDXStructure.checkParent`); without one, reading what lies in it fails.
  /// `keepsIdentifier`: the data that is written is what the identifier stands for already, as in a copy.
  public convenience init(
    _ structure: VHDXStructure, parent: (any DiskImage)?, keepsIdentifier: Bool = false
  ) throws(ImageError) {
    let header = structure.headers.current
    let capacity = VHDXLogWriter.capacity(logByteCount: UInt64(header.logByteCount)) - Self.resizePageCount
    self.init(
      store: structure.store, parent: parent, metadata: structure.metadata,
      state: VHDXState(
        mode: structure.isReadOnly ? .readOnly : .untouched, geometry: structure.metadata.geometry,
        blockTable: structure.regions.blockTable, virtualSizeOffset: structure.metadata.virtualSizeOffset,
        dataWriteIdentifier: header.dataWriteIdentifier, pages: VHDXPageCache(), space: structure.space,
        capacity: capacity),
      committer: VHDXCommitter(
        headers: structure.headers, flushedFileByteCount: try structure.store.size(),
        keepsIdentifier: keepsIdentifier))
  }

  /// Opens an image. `openParent` is asked once, for a differencing image, and decides which of the untrusted paths it
  /// follows.
  public convenience init(
    opening store: any ByteStore, readOnly: Bool = false,
    openParent: (ParentReference) throws(ImageError) -> any DiskImage
  ) throws(ImageError) {
    let structure = try VHDXStructure(reading: store, readOnly: readOnly)
    var parent: (any DiskImage)?
    if let reference = structure.parentReference {
      let opened = try openParent(reference)
      try structure.checkParent(opened.information)
      parent = opened
    }
    try self.init(structure, parent: parent)
  }

  /// An image without a parent; one that has a parent is refused.
  public convenience init(opening store: any ByteStore, readOnly: Bool = false) throws(ImageError) {
    let name = store.name
    try self.init(opening: store, readOnly: readOnly) { (_: ParentReference) throws(ImageError) -> any DiskImage in
      throw ImageError(file: name, structure: "parent locator", .parent("the image has a parent, and none was given"))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

extension ImageChain {
  /// A file whose structure is read and whose parent is not open yet.
  struct Unlinked {
    private enum Content {
      case raw(RawImage)
      case vhd(VHDStructure)
      case vhdx(VHDXStructure)
    }

    let path: String
    private let store: any ByteStore
    private let opener: any StoreOpener
    private let content: Content

    init(_ path: String, _ format: ImageFormat, _ options: Options, isWritable: Bool, _ opener: any StoreOpener)
      throws(ImageError)
    {
      self.path = path
      self.opener = opener
      let lock: FileStore.Lock? = options.ignoresLocks && !isWritable ? FileStore.Lock.none : nil
      do throws(StoreError) {
        store = try opener.open(path, isWritable ? .readWrite : .readOnly, lock)
      } catch {
        guard error.reason == .inUse, let holder = opener.holder(of: path) else { throw ImageError(error) }
        throw ImageError(file: path, structure: "held by \(holder)", .store(error))
      }
      switch format {
      case .raw:
        content = .raw(
          try .disk(
            store, sectorByteCount: options.sectorByteCount, physicalSectorByteCount: options.physicalSectorByteCount))
      case .iso: content = .raw(try .iso(store))
      case .vhd: content = .vhd(try VHDStructure(reading: store))
      case .vhdx: content = .vhdx(try VHDXStructure(reading: store))
      }
    }

    var parentSearch: ParentSearch? {
      switch content {
      case .raw: nil
      case .vhd(let structure):
        structure.parentReference.map { ParentSearch(path: path, paths: $0.paths, opener: opener) }
      case .vhdx(let structure):
        structure.parentReference.map { ParentSearch(path: path, paths: $0.paths, opener: opener) }
      }
    }

    /// Whether the parent is the one the image was made on, and as it was then.
    func checkParent(_ parent: any DiskImage, _ parentPath: String, _ options: Options) throws(ImageError) {
      switch content {
      case .raw: return
      case .vhd(let structure):
        guard let header = structure.header, let parent = parent as? VHDImage else { return }
        let identifier = VHDIdentifier(parent.information.identifier ?? VHDIdentifier.none.guid)
        guard header.parentIdentifier == identifier else {
          throw error(
            "parent unique id", structure.footer.dataOffset + 40,
            "\(parentPath) is another disk: its unique id is \(identifier), the child's parent has \(header.parentIdentifier)"
          )
        }
        let expected = header.parentTimestamp
        // Some writers take the time stamp in the parent's footer, some the time the file was last changed.
        let isSame =
          expected.rawValue == 0 || expected == parent.timestamp
          || opener.find(parentPath)?.identity.modified == expected.unixTime
        guard isSame || options.acceptsChangedParent else {
          throw error(
            "parent time stamp", structure.footer.dataOffset + 56,
            "\(parentPath) was written to after this image was made on it")
        }
      case .vhdx(let structure):
        try structure.checkParent(parent.information, ignoringIdentifier: options.acceptsChangedParent)
      }
    }

    func layer(parent: (any DiskImage)?) throws(ImageError) -> Layer {
      switch content {
      case .raw(let image): return Layer(path: path, image: image, notes: [], store: store)
      case .vhd(let structure):
        let image = VHDImage(store, structure, parent: parent)
        return Layer(path: path, image: image, notes: structure.notes, store: store)
      case .vhdx(let structure):
        var notes: [ImageError] = []
        if structure.neededReplay {
          let what = "the image was not closed, and what its log holds is not in place yet (it is read from there)"
          notes.append(ImageError(file: path, structure: "log", .damaged(what)))
        }
        return Layer(path: path, image: try VHDXImage(structure, parent: parent), notes: notes, store: store)
      }
    }

    private func error(_ structure: String, _ offset: UInt64, _ what: String) -> ImageError {
      ImageError(file: path, structure: structure, offset: offset, .parent(what))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An image that is open together with the parents it needs.
///
/// The file itself is locked: against everybody else when it is opened to write, against writers when it is opened to
/// read. Its parents are opened read-only and locked against writers.
public struct ImageChain: Sendable {
  public struct Options: Sendable {
    /// What the file is; nil: what its name says. A file whose structure is another one is refused.
    public var format: ImageFormat?
    public var isWritable = false
    /// Sectors of a raw disk.
    public var sectorByteCount: UInt32 = 512
    public var physicalSectorByteCount: UInt32?
    /// Parents must lie in one of these folders, links resolved; nil: anywhere.
    public var parentFolders: [String]?
    /// Take a parent that was written to after its child was made. What the disk then shows is anybody's guess.
    public var acceptsChangedParent = false
    /// Look at a file that somebody else may be writing to. Only for reading.
    public var ignoresLocks = false

    public init() {}
  }

  public struct Layer: Sendable {
    public var path: String
    public var image: any DiskImage
    /// Damaged, but read from a copy.
    public var notes: [ImageError]
    let store: any ByteStore

    /// Another program, or another machine, has the file open too.
    var isSharedWithOthers: Bool { (store as? FileStore)?.isLockedByOthers ?? false }
  }

  /// More than anybody makes; each level costs a file and time on every read.
  public static let depthLimit = 64

  /// The one that was asked for first, its parent next.
  public private(set) var layers: [Layer]
  public let image: any DiskImage

  /// `opener`: where its files come from.
  public static func open(
    _ path: String, _ options: Options = Options(), opener: any StoreOpener = FileStoreOpener()
  ) throws(ImageError) -> ImageChain {
    let format = try ImageFormat.of(path, options.format)
    let opener = try opener.prepared(for: path, options)
    var seen: [FileIdentity] = []
    var layers: [Layer] = []
    let image = try openLayer(path, format, options, isWritable: options.isWritable, opener, &seen, &layers)
    return ImageChain(layers: layers.reversed(), image: image)
  }

  /// Without its parents: for what concerns only the file. Reading what lies in a parent fails.
  public static func openAlone(_ path: String, _ options: Options = Options()) throws(ImageError) -> Layer {
    let format = try ImageFormat.of(path, options.format)
    return try Unlinked(path, format, options, isWritable: options.isWritable, FileStoreOpener()).layer(parent: nil)
  }

  private static func openLayer(
    _ path: String, _ format: ImageFormat, _ options: Options, isWritable: Bool, _ opener: any StoreOpener,
    _ seen: inout [FileIdentity],
    _ layers: inout [Layer]
  ) throws(ImageError) -> any DiskImage {
    if let found = opener.find(path) { seen.append(found.identity) }
    let file = try Unlinked(path, format, options, isWritable: isWritable, opener)
    var parent: (any DiskImage)?
    if let search = file.parentSearch {
      guard seen.count < depthLimit else {
        throw ImageError(
          file: path, structure: "parent locator", .parent("the chain has more than \(depthLimit) images"))
      }
      let found = try search.find(options, seen)
      var parentOptions = options
      parentOptions.isWritable = false
      let image = try openLayer(found, format, parentOptions, isWritable: false, opener, &seen, &layers)
      try file.checkParent(image, found, options)
      parent = image
    }
    let layer = try file.layer(parent: parent)
    layers.append(layer)
    return layer.image
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc

/// `lis disk merge`: a differencing image and its parent become one, which takes the parent's place.
///
/// The merged image is written beside the parent and replaces it when it is complete; then the child is removed. It gets
/// an identity of its own: other children of the old parent would show nonsense over it, and are refused.
public struct ImageMerge: Sendable {
  public var path: String
  public var options = ImageChain.Options()
  /// Do not remove the child. It has no parent any more then.
  public var keepsChild = false

  public init(_ path: String) { self.path = path }

  public func format() throws(OperationError) -> ImageFormat { try ImageFormat.find(path, options) }

  /// The parent's path.
  public func perform(_ control: OperationControl = OperationControl()) throws(OperationError) -> String {
    var childOptions = options
    childOptions.isWritable = true
    let chain = try onImage { () throws(ImageError) in try ImageChain.open(path, childOptions) }
    guard chain.layers.count > 1 else {
      throw .refused("\(path) has no parent to be merged into", remedy: "only differencing images can be merged")
    }
    let child = chain.layers[0].image
    let parent = chain.layers[1]
    let information = parent.image.information
    let parentPath = FileIdentity.resolved(parent.path) ?? parent.path
    var below: ImageBlueprint.Parent?
    if chain.layers.count > 2 {
      let layer = chain.layers[2]
      below = ImageBlueprint.Parent(image: layer.image, path: FileIdentity.resolved(layer.path) ?? layer.path)
    }
    let blueprint = ImageBlueprint(
      format: information.format, kind: information.kind, byteCount: child.information.virtualByteCount,
      blockByteCount: information.blockByteCount, sectorByteCount: information.logicalSectorByteCount,
      physicalSectorByteCount: information.physicalSectorByteCount, preallocates: information.kind == .fixed,
      parent: below)
    guard !parent.isSharedWithOthers else {
      let holder = FileHolder.of(parentPath) ?? "another program"
      throw .refused("\(parentPath) is in use by \(holder)", remedy: "merge when nobody uses the parent")
    }
    let file = try NewFile(parentPath, replacing: parentPath)
    let merged = try blueprint.make(in: file, at: parentPath)
    try LayerCopy(control: control).copy([child, parent.image], over: below?.image, to: merged)
    try onImage { () throws(ImageError) in try merged.close() }
    try file.publish()
    if !keepsChild { _ = unsafe unlink(path) }
    return parentPath
  }
}

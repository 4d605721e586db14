// SPDX-License-Identifier: Apache-2.0

/// `lis disk resize`: a larger or smaller disk, in place.
public struct ImageResizing: Sendable {
  public var path: String
  public var options = ImageChain.Options()
  public var byteCount: UInt64
  /// Cut off what lies beyond a smaller size, even if it is not zero.
  public var discardsData = false

  public init(_ path: String, to byteCount: UInt64) {
    self.path = path
    self.byteCount = byteCount
  }

  public func perform() throws(OperationError) {
    var options = options
    options.isWritable = true
    let chain = try onImage { () throws(ImageError) in try ImageChain.open(path, options) }
    let image = chain.image
    let old = image.information.virtualByteCount
    guard image.information.format != .iso else {
      throw .refused("\(path) is an ISO image, which cannot be resized", remedy: "resize disks only")
    }
    guard byteCount > 0, byteCount % UInt64(image.information.logicalSectorByteCount) == 0 else {
      throw .refused(
        "\(byteCount) bytes are not a whole number of sectors of \(image.information.logicalSectorByteCount) bytes",
        remedy: "give another size")
    }
    if discardsData, byteCount < old {
      try onImage { () throws(ImageError) in try image.writeZeroes(at: byteCount, count: old - byteCount) }
    }
    try onImage { () throws(ImageError) in
      try image.resize(to: byteCount)
      try image.close()
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// `lis disk compact`: gives the space of zeroes back to the host.
///
/// A dynamic or differencing image is written anew without them, beside the old one, which it then replaces; its
/// identity stays, so that its children go on. In raw and fixed images zeroes become holes.
public struct ImageCompaction: Sendable {
  public struct Result: Equatable, Sendable {
    /// What the file took on the host.
    public var before: UInt64
    public var after: UInt64
  }

  public var path: String
  public var options = ImageChain.Options()

  public init(_ path: String) { self.path = path }

  public func perform(_ control: OperationControl = OperationControl()) throws(OperationError) -> Result {
    var options = options
    options.isWritable = true
    let chain = try onImage { () throws(ImageError) in try ImageChain.open(path, options) }
    let image = chain.image
    let information = image.information
    let before = FileIdentity.allocated(path)
    guard information.format != .iso else {
      throw .refused("\(path) is an ISO image, which cannot be compacted", remedy: "compact disks only")
    }
    if information.kind == .fixed {
      try punch(image, control)
      try onImage { () throws(ImageError) in try image.close() }
      return Result(before: before, after: FileIdentity.allocated(path))
    }
    var parent: ImageBlueprint.Parent?
    if chain.layers.count > 1 {
      let below = chain.layers[1]
      parent = ImageBlueprint.Parent(image: below.image, path: FileIdentity.resolved(below.path) ?? below.path)
    }
    let blueprint = ImageBlueprint(
      format: information.format, kind: information.kind, byteCount: information.virtualByteCount,
      blockByteCount: information.blockByteCount, sectorByteCount: information.logicalSectorByteCount,
      physicalSectorByteCount: information.physicalSectorByteCount, parent: parent,
      identity: ImageBlueprint.Identity(of: image))
    let file = try NewFile(path, replacing: chain.layers[0].path)
    let copy = try blueprint.make(in: file, at: path)
    try LayerCopy(control: control).copy([image], over: parent?.image, to: copy)
    try onImage { () throws(ImageError) in try copy.close() }
    try file.publish()
    return Result(before: before, after: FileIdentity.allocated(path))
  }

  private func punch(_ image: any DiskImage, _ control: OperationControl) throws(OperationError) {
    let total = image.information.virtualByteCount
    let sector = UInt64(image.information.logicalSectorByteCount)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: ImageCopy.chunk, alignment: 4096)
    defer { unsafe buffer.deallocate() }
    var offset: UInt64 = 0
    while offset < total {
      try control.report(offset, total)
      let extent = try onImage { () throws(ImageError) in
        try image.extent(at: offset, count: min(total - offset, UInt64(buffer.count)), for: .read)
      }
      guard case .file(let store, let position) = extent.place else {
        offset += extent.byteCount
        continue
      }
      let (skipped, count) = ImageCopy.dataRun(store, position, extent.byteCount, sector)
      offset += skipped
      guard count > 0 else { continue }
      let start = offset
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(count)])
      try onImage { () throws(ImageError) in
        try unsafe image.read(at: start, into: part)
        for run in unsafe ZeroRuns.runs(UnsafeRawBufferPointer(part), grain: 64 << 10) {
          try image.writeZeroes(at: start + UInt64(run.lowerBound), count: UInt64(run.count))
        }
      }
      offset += count
    }
    try control.report(total, total)
  }
}

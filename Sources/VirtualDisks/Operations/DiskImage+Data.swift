// SPDX-License-Identifier: Apache-2.0

extension DiskImage {
  /// The offset of the first sector in the range that is not all zero, nil when there is none.
  func firstData(in range: Range<UInt64>) throws(ImageError) -> UInt64? {
    let sector = UInt64(information.logicalSectorByteCount)
    let chunk = 1 << 20
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 4096)
    defer { unsafe buffer.deallocate() }
    var offset = range.lowerBound
    while offset < range.upperBound {
      let extent = try extent(at: offset, count: range.upperBound - offset, for: .read)
      guard case .file = extent.place else {
        offset += extent.byteCount
        continue
      }
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(extent.byteCount, UInt64(chunk)))])
      try unsafe read(at: offset, into: part)
      if let found = unsafe ZeroRuns.firstNonZero(UnsafeRawBufferPointer(part)) {
        return offset + UInt64(found) / sector * sector
      }
      offset += UInt64(part.count)
    }
    return nil
  }
}

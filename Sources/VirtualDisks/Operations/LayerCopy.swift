// SPDX-License-Identifier: Apache-2.0

/// Copies what some images of a chain hold themselves, and leaves what lies below them to the parent of the copy.
struct LayerCopy {
  let control: OperationControl

  /// `layers`: neighbours of a chain, the first one sees all of them. `below`: what is under the last of them, which is
  /// also under `target`. Zeroes over data of `below` are copied, zeroes over nothing are not.
  func copy(
    _ layers: [any DiskImage], over below: (any DiskImage)?, to target: any DiskImage
  ) throws(OperationError) {
    guard let below else {
      guard let top = layers.first else { return }
      return try ImageCopy(control: control).copy(top, to: target)
    }
    guard let top = layers.first else { return }
    let total = top.information.virtualByteCount
    let belowTotal = below.information.virtualByteCount
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: ImageCopy.chunk, alignment: 4096)
    defer { unsafe buffer.deallocate() }
    var offset: UInt64 = 0
    while offset < total {
      try control.report(offset, total)
      let start = offset
      let limit = min(total - offset, UInt64(buffer.count))
      offset += try onImage { () throws(ImageError) in
        let upper = try top.extent(at: start, count: limit, for: .read)
        let isBelow = start < belowTotal
        let lower =
          isBelow
          ? try below.extent(at: start, count: min(upper.byteCount, belowTotal - start), for: .read)
          : ImageExtent(.zeroes, byteCount: upper.byteCount)
        let count = min(upper.byteCount, lower.byteCount)
        switch (upper.place, lower.place) {
        case (.file(let one, let here), .file(let other, let there)) where one === other && here == there:
          break  // It shows through.
        case (.file, _):
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(count)])
          try unsafe top.read(at: start, into: part)
          let hides = if case .file = lower.place { true } else { false }
          try unsafe write(UnsafeRawBufferPointer(part), at: start, to: target, hides: hides)
        case (_, .file): try target.writeZeroes(at: start, count: count)
        default: break
        }
        return count
      }
    }
    try control.report(total, total)
  }

  /// Zeroes that hide something below are zeroes in the copy, others are nothing.
  private func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, to target: any DiskImage, hides: Bool
  ) throws(ImageError) {
    var position = 0
    for run in unsafe ZeroRuns.runs(bytes, grain: ImageCopy.grain) + [bytes.count..<bytes.count] {
      if position < run.lowerBound {
        let data = unsafe UnsafeRawBufferPointer(rebasing: bytes[position..<run.lowerBound])
        try unsafe target.write(at: offset + UInt64(position), from: data)
      }
      if hides, !run.isEmpty {
        try target.writeZeroes(at: offset + UInt64(run.lowerBound), count: UInt64(run.count))
      }
      position = run.upperBound
    }
  }
}

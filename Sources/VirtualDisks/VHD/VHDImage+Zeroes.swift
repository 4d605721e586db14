// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension VHDImage {
  /// Gives space back inside blocks; a block as a whole stays, since the format's table knows no freed blocks. A
  /// differencing disk does nothing: zeroes over a parent need space rather than giving it back.
  public func discard(at offset: UInt64, count: UInt64) throws(ImageError) {
    guard information.canDiscard else { return }
    try writeZeroes(at: offset, count: count)
  }

  public func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
    let lease = beginIO()
    defer { extendLifetime(lease) }
    try state.withLock { state throws(ImageError) in
      try checkWritable(state)
      try checkRange(state, offset, count)
    }
    var done: UInt64 = 0
    while done < count {
      let place = offset + done
      let extent = try extent(at: place, count: count - done, for: .read)
      switch extent.place {
      case .zeroes, .needsAllocation: done += extent.byteCount
      case .file(let file, let position) where file === store:
        try state.withLock { state throws(ImageError) in try touch(&state) }
        try zero(at: position, count: extent.byteCount)
        done += extent.byteCount
      case .file:
        // The parent's data must not show any more.
        let part = try state.withLock { state throws(ImageError) in
          try placeForWriting(&state, place, extent.byteCount)
        }
        try zero(at: part.position, count: part.count)
        try commitSectors(part)
        done += part.count
      }
    }
    try limitMemory()
  }

  func zero(at position: UInt64, count: UInt64) throws(ImageError) {
    try access("disk data") { () throws(StoreError) in try store.clear(at: position, count: count) }
  }
}

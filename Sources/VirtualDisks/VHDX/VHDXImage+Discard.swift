// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension VHDXImage {
  /// Freed space beyond this goes back to the host without waiting for the guest's next flush.
  private static let freedByteLimit: UInt64 = 256 << 20

  public func discard(at offset: UInt64, count: UInt64) throws(ImageError) {
    let (canDiscard, hasParent) = state.withLock { (!$0.geometry.isFixed, $0.geometry.hasParent) }
    try prepareToWrite(offset, count)
    guard canDiscard else { return }
    // Over a parent "unmapped" would leave it open whether the parent shows through.
    try clear(at: offset, count: count, to: hasParent ? .zero : .unmapped)
  }

  public func writeZeroes(at offset: UInt64, count: UInt64) throws(ImageError) {
    try prepareToWrite(offset, count)
    try clear(at: offset, count: count, to: .zero)
  }

  private func clear(at offset: UInt64, count: UInt64, to blockState: VHDXBlockEntry.State) throws(ImageError) {
    let lease = beginIO()
    defer { withExtendedLifetime(lease) {} }
    var offset = offset
    let end = offset + count
    while offset < end {
      let cleared = try releaseBlocks(offset..<end, to: blockState)
      offset += cleared
      if cleared == 0 { offset += try clearPart(offset..<end) }
    }
    let freed = state.withLock { state in state.space.freed.reduce(0) { $0 + $1.byteCount } }
    if freed >= Self.freedByteLimit { try flush() }
  }

  /// Releases the whole blocks at the front of `range`, a bounded number at a time, and returns the bytes they cover; 0
  /// when the front is part of a block, or the disk is fixed and keeps its blocks.
  private func releaseBlocks(
    _ range: Range<UInt64>, to blockState: VHDXBlockEntry.State
  ) throws(ImageError) -> UInt64 {
    while true {
      let done = try state.withLock { state throws(ImageError) -> UInt64? in
        try self.checkWritable(state.mode)
        let geometry = state.geometry
        let size = geometry.blockByteCount
        guard !geometry.isFixed, range.lowerBound % size == 0, range.upperBound <= geometry.virtualByteCount else {
          return 0
        }
        var offset = range.lowerBound
        var looked = 0
        while looked < 4096 {
          // The last block of the disk counts as whole when it is covered to the disk's end.
          let blockEnd = min(offset + size, geometry.virtualByteCount)
          guard offset < range.upperBound, blockEnd <= range.upperBound else { break }
          guard state.hasRoomForStep else { return offset == range.lowerBound ? nil : offset - range.lowerBound }
          try state.release(block: offset / size, to: blockState, in: self.store)
          offset = blockEnd
          looked += 1
        }
        return offset - range.lowerBound
      }
      if let done { return done }
      try flush()
    }
  }

  /// Makes part of a block read as zeroes; returns the bytes done.
  private func clearPart(_ range: Range<UInt64>) throws(ImageError) -> UInt64 {
    let (run, length, isFixed) = try state.withLock { state throws(ImageError) -> (VHDXState.Run, UInt64, Bool) in
      try self.checkWritable(state.mode)
      let size = state.geometry.blockByteCount
      // No further than this block: the next one may be whole.
      let limit = state.geometry.isFixed ? UInt64.max : size - range.lowerBound % size
      let (run, length) = try state.run(
        at: range.lowerBound, count: min(range.upperBound - range.lowerBound, limit), in: self.store)
      return (run, length, state.geometry.isFixed)
    }
    guard run != .zeroes else { return length }
    let target = try target(at: range.lowerBound, count: length)
    if !target.isFresh {
      do throws(StoreError) {
        // A fixed disk keeps its space.
        if isFixed {
          try store.writeZeroes(at: target.place, count: target.byteCount)
        } else {
          try store.clear(at: target.place, count: target.byteCount)
        }
      } catch { throw failure(error) }
    }
    try mark(target)
    return target.byteCount
  }
}

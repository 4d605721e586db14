// SPDX-License-Identifier: Apache-2.0

import VMBus

extension GPADL {
  /// Splits `words`, the guest's, into `rangeCount` ranges.
  init(words: [UInt64], rangeCount: Int, guestFrames: GuestFrames) throws(GPADLError) {
    ranges = []
    var index = 0
    for _ in 0..<rangeCount {
      guard index < words.count else { throw .ranges }
      let byteCount = Int(words[index] & 0xFFFF_FFFF)
      let byteOffset = Int(words[index] >> 32)
      index += 1
      guard byteCount > 0, byteOffset < pageSize else { throw .ranges }
      // Both are below 2^32, so the sum fits.
      let frameCount = (byteOffset + byteCount + pageSize - 1) / pageSize
      guard frameCount <= words.count - index else { throw .ranges }
      let frames = Array(words[index..<index + frameCount])
      for frame in frames where !guestFrames.contains(frame) { throw .outsideMemory }
      ranges.append(Range(byteCount: byteCount, byteOffset: byteOffset, frames: frames))
      index += frameCount
    }
    guard index == words.count else { throw .ranges }
  }

  /// The frames of both rings, if this can hold rings: one range of whole pages, at least two pages for each.
  func rings(hostToGuestPageOffset: UInt32) throws(GPADLError) -> (guestToHost: [UInt64], hostToGuest: [UInt64]) {
    guard ranges.count == 1, let range = ranges.first, range.byteOffset == 0, range.byteCount % pageSize == 0 else {
      throw .notPages
    }
    guard let offset = Int(exactly: hostToGuestPageOffset), offset >= 2, range.frames.count >= 4,
      offset <= range.frames.count - 2
    else { throw .ringOffset }
    return (Array(range.frames[..<offset]), Array(range.frames[offset...]))
  }
}

/// Of a guest frame, in bytes.
let pageSize = 4096

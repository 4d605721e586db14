// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Finds zeroes in buffers, at the speed of memory.
enum ZeroRuns {
  static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
    // A buffer whose first byte is zero, and that equals itself one byte further on, is all zero.
    guard unsafe bytes[0] == 0 else { return false }
    return unsafe memcmp(base, base + 1, bytes.count - 1) == 0
  }

  /// The zeroes, in whole grains.
  static func runs(_ bytes: UnsafeRawBufferPointer, grain: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for start in stride(from: 0, to: bytes.count, by: grain) {
      let end = min(start + grain, bytes.count)
      guard unsafe isZero(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) else { continue }
      if let last = result.last, last.upperBound == start {
        result[result.count - 1] = last.lowerBound..<end
      } else {
        result.append(start..<end)
      }
    }
    return result
  }

  static func firstNonZero(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + 4096)
      if unsafe !isZero(UnsafeRawBufferPointer(rebasing: bytes[offset..<end])) {
        return unsafe bytes[offset..<end].firstIndex { $0 != 0 }
      }
      offset = end
    }
    return nil
  }
}

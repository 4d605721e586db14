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

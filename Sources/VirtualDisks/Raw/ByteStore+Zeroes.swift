// SPDX-License-Identifier: Apache-2.0

extension ByteStore {
  /// Makes a range inside the store read as zeroes: a hole where whole pages allow it, zero bytes elsewhere.
  func clear(at position: UInt64, count: UInt64) throws(StoreError) {
    let end = position + count
    let first = (position + 4095) / 4096 * 4096
    let last = end / 4096 * 4096
    guard first < last else { return try writeZeroBytes(position, end) }
    do throws(StoreError) {
      try deallocate(at: first, count: last - first)
    } catch {
      guard error.reason == .unsupported else { throw error }
      return try writeZeroBytes(position, end)
    }
    try writeZeroBytes(position, first)
    try writeZeroBytes(last, end)
  }

  private func writeZeroBytes(_ start: UInt64, _ end: UInt64) throws(StoreError) {
    var position = start
    while position < end {
      let count = min(end - position, 1 << 20)
      try write([UInt8](repeating: 0, count: Int(count)), at: position)
      position += count
    }
  }
}

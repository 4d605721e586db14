// SPDX-License-Identifier: Apache-2.0

/// The data area of a ring, wherever its pages are.
///
/// Callers keep `offset < byteCount` and `count <= byteCount`; both come from private, checked cursors. An access may
/// run past the end of the area: it goes on at its beginning. The peer may write the memory at any moment, so no view
/// of it is ever handed out.
public protocol RingStorage {
  /// Bytes of the data area, header page not included; a multiple of 8.
  var byteCount: UInt32 { get }
  /// Copies `destination.count` bytes out of the ring.
  func copyOut(at offset: UInt32, to destination: UnsafeMutableRawBufferPointer)
  /// Copies `source` into the ring.
  func copyIn(at offset: UInt32, from source: UnsafeRawBufferPointer)
  /// The 8 bytes at `offset`, a multiple of 8, read exactly once.
  func loadWord(at offset: UInt32) -> UInt64
  /// Stores 8 bytes at `offset`, a multiple of 8.
  func storeWord(_ value: UInt64, at offset: UInt32)
}

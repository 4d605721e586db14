// SPDX-License-Identifier: Apache-2.0

/// Frames in a stream of bytes, each behind its length: four bytes in network order, as passt and QEMU's stream sockets have
/// it.
enum StreamFrames {
  static let prefix = 4

  /// Hands on the whole frames at the front and returns the bytes they took. `nil`: a length that no frame has.
  static func take(_ bytes: UnsafeRawBufferPointer, _ take: (FrameView) -> Void) -> Int? {
    var offset = 0
    while offset + prefix <= bytes.count {
      let length = unsafe Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian)
      guard length <= Switch.maximumFrame else { return nil }
      let end = offset + prefix + length
      guard end <= bytes.count else { break }
      let frame = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset + prefix..<end])
      unsafe FrameView.over(frame, tag: nil, offloads: .none, take)
      offset = end
    }
    return offset
  }
}

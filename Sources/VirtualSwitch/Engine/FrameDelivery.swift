// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Hands a frame to one receiver with its tag put in, taken off or beside it. The bytes stay where they are: only the list
/// of pieces is another one.
enum FrameDelivery {
  /// `frame`'s first piece holds the addresses and the tag that is in its bytes, as the switch has seen to.
  static func apply<Result>(_ action: TagAction, to frame: FrameView, _ body: (FrameView) -> Result) -> Result {
    switch action {
    case .leave:
      // A tag that came beside the frame and was judged does not go on by itself.
      return body(
        unsafe FrameView(pieces: frame.pieces, byteCount: frame.byteCount, tag: nil, offloads: frame.offloads))
    case .outOfBand(let tag, strip: false):
      return body(
        unsafe FrameView(pieces: frame.pieces, byteCount: frame.byteCount, tag: tag, offloads: frame.offloads))
    case .strip: return rebuild(frame, skip: 4, insert: nil, beside: nil, body)
    case .outOfBand(let tag, strip: true): return rebuild(frame, skip: 4, insert: nil, beside: tag, body)
    case .insert(let tag): return rebuild(frame, skip: 0, insert: tag, beside: nil, body)
    case .replace(let tag): return rebuild(frame, skip: 4, insert: tag, beside: nil, body)
    }
  }

  private static func rebuild<Result>(
    _ frame: FrameView, skip: Int, insert tag: VLANTag?, beside: VLANTag?, _ body: (FrameView) -> Result
  ) -> Result {
    let bytes: InlineArray<4, UInt8> = [
      0x81, 0x00, UInt8(truncatingIfNeeded: (tag?.rawValue ?? 0) >> 8), UInt8(truncatingIfNeeded: tag?.rawValue ?? 0),
    ]
    let growth = (tag == nil ? 0 : 4) - skip
    return unsafe withUnsafeBytes(of: bytes) { bytes in
      unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: frame.pieces.count + 2) { list in
        let header = unsafe frame.header
        let start = unsafe UnsafeMutableRawPointer(mutating: header.baseAddress)
        unsafe list.initializeElement(at: 0, to: iovec(iov_base: start, iov_len: 12))
        var count = 1
        if tag != nil {
          unsafe list.initializeElement(
            at: 1, to: iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: 4))
          count = 2
        }
        if header.count > 12 + skip {
          unsafe list.initializeElement(
            at: count, to: iovec(iov_base: start.map { unsafe $0 + 12 + skip }, iov_len: header.count - 12 - skip))
          count += 1
        }
        for index in 1..<max(1, unsafe frame.pieces.count) {
          let piece = unsafe frame.pieces[index]
          unsafe list.initializeElement(at: count, to: piece)
          count += 1
        }
        return body(
          unsafe FrameView(
            pieces: UnsafeBufferPointer(rebasing: list[..<count]), byteCount: frame.byteCount + growth, tag: beside,
            offloads: frame.offloads.shifted(by: growth)))
      }
    }
  }
}

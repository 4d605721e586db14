// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

extension FrameView {
  /// A number that frames of one flow share: from addresses, protocol and ports, of untagged IP. Frames of one flow keep
  /// their order when they go through one queue.
  var flow: UInt32 {
    let bytes = unsafe header.bytes
    var hash: UInt32 = 2_166_136_261
    func mix(_ word: UInt16) { hash = (hash ^ UInt32(word)) &* 16_777_619 }
    for offset in stride(from: 0, to: 12, by: 2) { mix(bytes.word(offset)) }
    if let place = TransportHeader(bytes) {
      mix(bytes.word(place.start))
      mix(bytes.word(place.start + 2))
    }
    return hash ^ hash >> 15
  }

  /// Calls `body` with the frame's pieces behind `prefix`.
  func prefixed<Result>(_ prefix: UnsafeRawBufferPointer, _ body: (UnsafeBufferPointer<iovec>) -> Result) -> Result {
    let start = unsafe UnsafeMutableRawPointer(mutating: prefix.baseAddress)
    return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: pieces.count + 1) { list in
      unsafe list.initializeElement(at: 0, to: iovec(iov_base: start, iov_len: prefix.count))
      for index in unsafe pieces.indices { unsafe list.initializeElement(at: index + 1, to: pieces[index]) }
      return unsafe body(UnsafeBufferPointer(list))
    }
  }

  /// Calls `body` with a view of bytes in one piece.
  static func over<Result>(
    _ bytes: UnsafeRawBufferPointer, tag: VLANTag?, offloads: FrameOffloads, _ body: (FrameView) -> Result
  ) -> Result {
    let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    var piece = unsafe iovec(iov_base: start, iov_len: bytes.count)
    return unsafe withUnsafePointer(to: &piece) { piece in
      let pieces = unsafe UnsafeBufferPointer(start: piece, count: 1)
      return unsafe body(FrameView(pieces: pieces, byteCount: bytes.count, tag: tag, offloads: offloads))
    }
  }
}

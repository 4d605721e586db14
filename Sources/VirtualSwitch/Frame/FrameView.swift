// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A frame in memory that others own: good during one call, to be copied from once.
///
/// Without an Ethernet checksum. The first piece is private to whoever made the view (a guest cannot change it any more)
/// and holds the first `Switch.headerBytes` bytes, or the whole of a shorter frame; the rest may be a guest's memory.
@safe public struct FrameView {
  public let pieces: UnsafeBufferPointer<iovec>
  /// The sum of the pieces.
  public let byteCount: Int
  /// A tag beside the frame.
  public let tag: VLANTag?
  public let offloads: FrameOffloads

  public init(
    pieces: UnsafeBufferPointer<iovec>, byteCount: Int, tag: VLANTag? = nil, offloads: FrameOffloads = .none
  ) {
    unsafe self.pieces = pieces
    self.byteCount = byteCount
    self.tag = tag
    self.offloads = offloads
  }

  /// The first piece.
  var header: UnsafeRawBufferPointer {
    guard let first = unsafe pieces.first else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
    return unsafe UnsafeRawBufferPointer(start: first.iov_base, count: first.iov_len)
  }

  /// Copies the frame, up to the room there is. Returns the count of bytes.
  @discardableResult
  public func copy(to room: UnsafeMutableRawBufferPointer) -> Int {
    var done = 0
    for index in unsafe pieces.indices {
      let piece = unsafe pieces[index]
      let count = unsafe min(piece.iov_len, room.count - done)
      guard count > 0 else { continue }
      guard let source = unsafe piece.iov_base, let target = room.baseAddress else { break }
      unsafe memcpy(target + done, source, count)
      done += count
    }
    return done
  }

  /// For tests and callers that are in no hurry: a view of bytes that were collected.
  public static func with<Result>(
    _ bytes: [UInt8], tag: VLANTag? = nil, offloads: FrameOffloads = .none, _ body: (FrameView) -> Result
  ) -> Result {
    unsafe bytes.withUnsafeBytes { bytes in
      var piece = unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
      return unsafe withUnsafePointer(to: &piece) { piece in
        let pieces = unsafe UnsafeBufferPointer(start: piece, count: 1)
        return unsafe body(FrameView(pieces: pieces, byteCount: bytes.count, tag: tag, offloads: offloads))
      }
    }
  }

  /// The bytes, collected.
  public var bytes: [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { room, count in
      count = unsafe copy(to: UnsafeMutableRawBufferPointer(room))
    }
  }
}

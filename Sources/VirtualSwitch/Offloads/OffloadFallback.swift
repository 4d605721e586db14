// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Does in software what a receiver does not take: finishes checksums, cuts large frames. One for each sending thread; its
/// memory, two frames' worth, is made when it is first needed.
final class OffloadFallback {
  private var frame: [UInt8] = []
  private var segment: [UInt8] = []

  private static let room = Switch.maximumFrame + 4

  /// Gives `accept` the frame, or its segments one after the other. `nil`: delivered. The first refused segment ends the
  /// delivery: TCP sends what follows again anyway.
  func deliver(_ view: FrameView, _ accept: (FrameView) -> Bool) -> DropReason? {
    guard view.byteCount <= Self.room, view.offloads.fits(view.byteCount) else { return .malformed }
    if frame.isEmpty { frame = [UInt8](repeating: 0, count: Self.room) }
    if view.offloads.isSegmented, segment.isEmpty { segment = [UInt8](repeating: 0, count: Self.room) }
    return unsafe frame.withUnsafeMutableBytes { room in
      let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<view.copy(to: room)])
      guard bytes.count == view.byteCount else { return .malformed }
      guard view.offloads.isSegmented else {
        if case .needed(let start, let offset) = view.offloads.checksum {
          guard unsafe ChecksumCompletion.finish(bytes, start: start, offset: offset) else { return .malformed }
        }
        return unsafe Self.hand(UnsafeRawBufferPointer(bytes), view.tag, accept) ? nil : .noRoom
      }
      return unsafe cut(UnsafeRawBufferPointer(bytes), view, accept)
    }
  }

  private func cut(
    _ bytes: UnsafeRawBufferPointer, _ view: FrameView, _ accept: (FrameView) -> Bool
  ) -> DropReason? {
    if view.offloads.segmentation == .udpFragments { return .unsupportedOffload }
    guard let cut = unsafe Segmentation(bytes.bytes, view.offloads) else { return .malformed }
    return unsafe segment.withUnsafeMutableBytes { room in
      for index in 0..<cut.count {
        let length = unsafe cut.write(index, of: bytes, to: room)
        guard length > 0 else { return .malformed }
        let segment = unsafe UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<length])
        guard unsafe Self.hand(segment, view.tag, accept) else { return .noRoom }
      }
      return nil
    }
  }

  private static func hand(_ bytes: UnsafeRawBufferPointer, _ tag: VLANTag?, _ accept: (FrameView) -> Bool) -> Bool {
    let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    var piece = unsafe iovec(iov_base: start, iov_len: bytes.count)
    return unsafe withUnsafePointer(to: &piece) { piece in
      unsafe accept(FrameView(pieces: UnsafeBufferPointer(start: piece, count: 1), byteCount: bytes.count, tag: tag))
    }
  }
}

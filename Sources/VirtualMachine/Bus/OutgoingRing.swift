// SPDX-License-Identifier: Apache-2.0

import Partition
import VMBus

/// The ring to the guest, over the guest's pages. Used by one thread at a time.
final class OutgoingRing {
  private let pages: RingPages
  var writer: RingWriter<PagedRingStorage>

  /// `frames` are page frame numbers, header page first, as `ChannelOpening` has them. Throws when a frame is not memory
  /// or an index in the header page is out of range.
  init(memory: GuestMemory, frames: [UInt64]) throws(RingError) {
    pages = try RingPages(frames, memory)
    writer = try RingWriter(control: pages.control, storage: pages.storage)
  }

  /// Writes and publishes one in-band packet without completion. The result says whether to signal the guest.
  func send(_ payload: [UInt8]) throws(RingError) -> Bool {
    try unsafe writer.write(
      type: .inBand, completionRequested: false, transactionID: 0, descriptorTail: RawSpan(),
      payload: payload.span.bytes)
    return writer.commit()
  }

  /// After `.full`: asks the guest for a signal once there is room. true: there is room already.
  func requestSpace(_ bytes: UInt32) -> Bool { writer.requestSpace(bytes) }
}

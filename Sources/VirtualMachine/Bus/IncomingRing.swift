// SPDX-License-Identifier: Apache-2.0

import Partition
import VMBus

/// The ring in which a guest's packets come, over the guest's pages. Used by one thread at a time.
@safe
final class IncomingRing {
  /// Where packets are copied to. A packet that does not fit is corrupt by definition of the device, which says how long
  /// its packets are.
  private let buffer: UnsafeMutableRawBufferPointer
  private let pages: RingPages
  private var reader: RingReader<PagedRingStorage>
  private var isMasked = false

  /// `frames` are page frame numbers, header page first, as `ChannelOpening` has them. Throws when a frame is not memory
  /// or an index in the header page is out of range.
  init(memory: GuestMemory, frames: [UInt64], largestPacket: Int) throws(RingError) {
    pages = try RingPages(frames, memory)
    reader = try RingReader(control: pages.control, storage: pages.storage)
    unsafe buffer = .allocate(byteCount: largestPacket, alignment: 16)
  }

  deinit { unsafe buffer.deallocate() }

  /// What a look into the guest's ring brought.
  struct Drained: Equatable {
    /// The guest waits for the space that was freed: signal it.
    var signal = false
    /// The bound was reached: more may be there, and no signal will come for it.
    var more = false
  }

  /// Packets that one turn takes. A guest that floods its ring must not keep the thread from the other services.
  static let batchLimit = 64

  /// Asks the guest not to signal until `unmask`: this end looks again by itself.
  func mask() {
    reader.maskInterrupts()
    isMasked = true
  }

  /// True: something came meanwhile, for which there is no signal.
  func unmask() -> Bool {
    isMasked = false
    return reader.unmaskInterrupts()
  }

  /// Whether there is something to take.
  var hasMore: Bool { reader.hasMore }

  /// Hands the packets that are there to `body`, at most `batchLimit` of them, as long as `accepts`.
  func drain(
    while accepts: () -> Bool = { true }, _ body: (Packet, RawSpan) -> Void
  ) throws(RingError) -> Drained {
    var drained = Drained()
    var count = 0
    repeat {
      while accepts(), let packet = try unsafe reader.next(into: buffer) {
        body(packet, unsafe RawSpan(_unsafeBytes: buffer).extracting(first: packet.byteCount))
        count += 1
        if count == Self.batchLimit {
          drained.signal = reader.commit() || drained.signal
          drained.more = reader.hasMore
          return drained
        }
      }
      drained.signal = reader.commit() || drained.signal
      // A packet that came between the last look and the commit came without a signal.
    } while (isMasked ? reader.hasMore : reader.unmaskInterrupts()) && accepts()
    return drained
  }
}

// SPDX-License-Identifier: Apache-2.0

import Partition
import VMBus

/// Both rings of an open channel, over the guest's pages. Used by one thread at a time, under its owner's lock.
@safe
final class ChannelRings {
  /// Where packets are copied to. A packet that does not fit is corrupt by definition of the device, which says how long
  /// its packets are.
  private let buffer: UnsafeMutableRawBufferPointer
  private let incomingPages: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private let outgoingPages: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private var reader: RingReader<PagedRingStorage>
  var writer: RingWriter<PagedRingStorage>

  /// `incoming` and `outgoing` are page frame numbers, header page first, as `ChannelOpening` has them. Throws when a
  /// frame is not memory or an index in a header page is out of range.
  init(
    memory: GuestMemory, incoming: [UInt64], outgoing: [UInt64], largestPacket: Int
  ) throws(RingError) {
    guard let incomingTable = unsafe Self.table(incoming, memory),
      let outgoingTable = unsafe Self.table(outgoing, memory)
    else { throw .corrupt(.dataSize(0)) }
    do throws(RingError) {
      reader = try unsafe RingReader(
        control: RingControl(page: incomingTable[0]),
        storage: PagedRingStorage(pages: incomingTable + 1, pageCount: incoming.count - 1))
      writer = try unsafe RingWriter(
        control: RingControl(page: outgoingTable[0]),
        storage: PagedRingStorage(pages: outgoingTable + 1, pageCount: outgoing.count - 1))
    } catch {
      unsafe incomingTable.deallocate()
      unsafe outgoingTable.deallocate()
      throw error
    }
    unsafe incomingPages = incomingTable
    unsafe outgoingPages = outgoingTable
    unsafe buffer = .allocate(byteCount: largestPacket, alignment: 16)
  }

  deinit {
    unsafe buffer.deallocate()
    unsafe incomingPages.deallocate()
    unsafe outgoingPages.deallocate()
  }

  private static func table(
    _ frames: [UInt64], _ memory: GuestMemory
  ) -> UnsafeMutablePointer<UnsafeMutableRawPointer>? {
    guard frames.count >= 2 else { return nil }
    let table = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: frames.count)
    for (index, frame) in frames.enumerated() {
      guard let page = unsafe memory.page(frame) else {
        unsafe table.deallocate()
        return nil
      }
      unsafe (table + index).initialize(to: page)
    }
    return unsafe table
  }

  /// What a look into the guest's ring brought.
  struct Drained: Equatable {
    /// The guest waits for the space that was freed: signal it.
    var signal = false
    /// The bound was reached: more may be there, and no signal will come for it.
    var more = false
  }

  /// Packets that one turn takes. A guest that floods its ring must not keep the thread from the other services.
  static let batchLimit = 64

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
    } while reader.unmaskInterrupts() && accepts()
    return drained
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

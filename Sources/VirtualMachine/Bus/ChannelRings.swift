// SPDX-License-Identifier: Apache-2.0

import Partition
import VMBus

/// Both rings of an open channel. Used by one thread at a time, under its owner's lock.
final class ChannelRings {
  private let incoming: IncomingRing
  private let outgoing: OutgoingRing

  /// `incoming` and `outgoing` are page frame numbers, header page first, as `ChannelOpening` has them. Throws when a
  /// frame is not memory or an index in a header page is out of range.
  init(memory: GuestMemory, incoming: [UInt64], outgoing: [UInt64], largestPacket: Int) throws(RingError) {
    self.incoming = try IncomingRing(memory: memory, frames: incoming, largestPacket: largestPacket)
    self.outgoing = try OutgoingRing(memory: memory, frames: outgoing)
  }

  var writer: RingWriter<PagedRingStorage> {
    _read { yield outgoing.writer }
    _modify { yield &outgoing.writer }
  }

  func drain(
    while accepts: () -> Bool = { true }, _ body: (Packet, RawSpan) -> Void
  ) throws(RingError) -> IncomingRing.Drained {
    try incoming.drain(while: accepts, body)
  }

  func send(_ payload: [UInt8]) throws(RingError) -> Bool { try outgoing.send(payload) }
  func requestSpace(_ bytes: UInt32) -> Bool { outgoing.requestSpace(bytes) }
}

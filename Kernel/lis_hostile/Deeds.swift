// SPDX-License-Identifier: Apache-2.0

import CHostile
import VMBus

/// What a hostile host does to a ring, by number.
///
/// The first kind sends packets that are whole, as many as fill the ring exactly once, in two halves: so the indices end
/// where the real host believes them to be, and work has to go on. The second kind breaks the ring.
private enum Deed {
  // Packets, each of them nonsense in its own way.
  static var unknownIDs: UInt32 { 1 }
  static var shortAnswers: UInt32 { 2 }
  static var inBandNonsense: UInt32 { 3 }
  static var otherTypes: UInt32 { 4 }
  // The ring itself.
  static var writeIndexOutside: UInt32 { 20 }
  static var writeIndexUnaligned: UInt32 { 21 }
  static var lengthZero: UInt32 { 22 }
  static var lengthBeyond: UInt32 { 23 }
  static var payloadOutside: UInt32 { 24 }
  static var longPacket: UInt32 { 25 }
}

@c(hostile_do)
public func doDeed(_ argument: UnsafeMutableRawPointer?) {
  guard let deed = unsafe argument?.assumingMemoryBound(to: hostile_deed.self), let ring = unsafe deed.pointee.ring
  else { return }
  let what = unsafe deed.pointee.what
  let size = unsafe deed.pointee.byte_count
  let control = unsafe RingControl(page: ring)
  let storage = unsafe LinearRingStorage(base: ring + RingControl.byteCount, byteCount: size)
  do throws(RingError) {
    switch what {
    case Deed.unknownIDs...Deed.otherTypes:
      unsafe deed.pointee.parts = 2
      try unsafe fill(control, storage, what, second: deed.pointee.part == 1)
    case Deed.writeIndexOutside...Deed.longPacket:
      unsafe deed.pointee.parts = 1
      breakRing(control, storage, what)
    default: return
    }
  } catch {
    unsafe deed.pointee.parts = 0
  }
}

/// Half of the ring with packets of 128 bytes, trailers included.
private func fill(
  _ control: RingControl, _ storage: LinearRingStorage, _ what: UInt32, second: Bool
) throws(RingError) {
  var writer = try RingWriter(control: control, storage: storage)
  let all = storage.byteCount / 128
  let count = second ? all &- all / 2 : all / 2
  var payload = InlineArray<13, UInt64>(repeating: 0)
  for number in 0..<UInt64(count) {
    // Something new each time, with no sense in it.
    var noise = (number &+ 1) &* 0x9E37_79B9_7F4A_7C15
    for index in 0..<13 {
      noise ^= noise &>> 29
      noise = noise &* 0xBF58_476D_1CE4_E5B9
      payload[index] = noise
    }
    var type = PacketType.completion
    var id = noise
    switch what {
    case Deed.unknownIDs:
      payload[0] = 1
      switch number % 4 {
      case 0: id = 0
      case 1: id = .max
      // A slot that there is, in a use that there is not; and what looks like a control.
      case 2: id = (number & 0x3FF) | 0xFFFF_0000
      default: id = 1 &<< 48 | (number & 0xFF)
      }
    case Deed.shortAnswers:
      // In-band and of one word; the rest of the packet is descriptor.
      id = number & 0x3FF
    case Deed.inBandNonsense:
      type = .inBand
      payload[0] = 12 &+ number
    default: type = PacketType(rawValue: UInt16(truncatingIfNeeded: 12 &+ number))
    }
    // A short one is the end of a packet whose descriptor is long.
    let whole = unsafe payload.span.bytes
    let short = what == Deed.shortAnswers
    try writer.write(
      type: type, completionRequested: number & 1 == 0, transactionID: id,
      descriptorTail: short ? whole.extracting(first: 88) : whole.extracting(first: 0),
      payload: short ? whole.extracting(first: 16) : whole)
  }
  _ = writer.commit()
}

private func breakRing(_ control: RingControl, _ storage: LinearRingStorage, _ what: UInt32) {
  let size = storage.byteCount
  let write = control.writeIndex
  guard write < size, write & 7 == 0 else { return }
  // Type 11, descriptor of 16 bytes, `length` bytes in all, in units of 8.
  var offset: UInt64 = 2
  var length: UInt64 = 10
  var published = (write &+ 88) % size
  switch what {
  case Deed.writeIndexOutside: published = size &+ 64
  case Deed.writeIndexUnaligned: published = (write &+ 4) % size
  case Deed.lengthZero: length = 0
  case Deed.lengthBeyond: length = 0xFFFF
  case Deed.payloadOutside: offset = 0xFFFF
  default:
    // Whole, and longer than anything that this host has to say.
    length = 256
    published = (write &+ 2056) % size
  }
  storage.storeWord(11 | offset &<< 16 | length &<< 32, at: write)
  storage.storeWord(1, at: (write &+ 8) % size)
  control.publishWriteIndex(published)
}

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
  // The same for integration services: their headers before the nonsense.
  static var serviceNonsense: UInt32 { 5 }
  static var serviceSizes: UInt32 { 6 }
  static var serviceNegotiations: UInt32 { 7 }
  static var serviceRequests: UInt32 { 8 }
  // Packets that name places of a buffer which the driver shares.
  static var placesOutside: UInt32 { 9 }
  static var placesOfNothing: UInt32 { 10 }
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
    case Deed.unknownIDs...Deed.placesOfNothing:
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
    case Deed.serviceNonsense...Deed.serviceRequests:
      type = .inBand
      serviceHeader(&payload, what, number)
    case Deed.placesOutside, Deed.placesOfNothing:
      type = .transferPages
      id = number
      places(what, number, noise, &payload)
    default: type = PacketType(rawValue: UInt16(truncatingIfNeeded: 12 &+ number))
    }
    // A short one is the end of a packet whose descriptor is long.
    let whole = unsafe payload.span.bytes
    let short = what == Deed.shortAnswers || type == .transferPages
    try writer.write(
      type: type, completionRequested: number & 1 == 0, transactionID: id,
      descriptorTail: short ? whole.extracting(first: 88) : whole.extracting(first: 0),
      payload: short ? whole.extracting(first: 16) : whole)
  }
  _ = writer.commit()
}

/// The headers of an integration message, 28 bytes, and the body's first field. What is nonsense in them, `what` says.
///
/// Layout: pipe type u32, pipe size u32, framework version 2 × u16, type u16, message version 2 × u16, body size u16,
/// status u32, transaction u8, flags u8 (2: a request).
private func serviceHeader(_ payload: inout InlineArray<13, UInt64>, _ what: UInt32, _ number: UInt64) {
  let noise = payload[3]
  var pipe: UInt64 = 1
  var size: UInt64 = 96
  var kind = 1 &+ number % 7
  var body: UInt64 = 76
  switch what {
  case Deed.serviceNonsense:
    pipe = number & 3
    kind = noise & 0xFFFF
    body = noise &>> 16 & 0xFFFF
  case Deed.serviceSizes:
    // Beyond the packet, beyond each other, nothing.
    size = number & 1 == 0 ? noise & 0xFFFF_FFFF : number % 24
    body = number & 2 == 0 ? 0xFFFF : 76 &+ number
  case Deed.serviceNegotiations:
    kind = 0
  default: break
  }
  payload[0] = pipe | size &<< 32
  payload[1] = 3 | kind &<< 32 | 3 &<< 48
  payload[2] = body &<< 16
  // Four bytes of transaction and flags, then the body. Its first word: how many versions there are, or an operation.
  payload[3] = (number & 0xFF) | 0x0300
  switch what {
  case Deed.serviceNegotiations: payload[3] |= (number % 3 == 0 ? 0xFFFF_FFFF : noise &>> 32) &<< 32
  // The host's time begins here: far behind 2262, or in 1601.
  case Deed.serviceRequests: payload[3] |= (number & 1 == 0 ? 0xFFFF_FFFF : number & 15) &<< 32
  default: break
  }
  if what == Deed.serviceRequests { payload[4] = number & 1 == 0 ? .max : 0 }
}

/// The descriptor of a packet with ten places: set and count, then a byte count and an offset each.
private func places(_ what: UInt32, _ number: UInt64, _ noise: UInt64, _ payload: inout InlineArray<13, UInt64>) {
  // Of the network protocol, whose buffer is the only one that is shared so.
  payload[0] = 0xCAFE | 10 &<< 32
  for index in 1..<11 {
    let at = noise &>> UInt64(index)
    // Inside, but with whatever was there before; or somewhere else.
    payload[index] = what == Deed.placesOfNothing ? 1500 | (at & 0xFF_F000) &<< 32 : at
  }
  guard what == Deed.placesOutside else { return }
  switch number % 4 {
  case 0: payload[0] = 0xCAFE | 0xFFFF_FFFF &<< 32
  case 1: payload[0] = 0xCAFE
  case 2: payload[0] = 1 | 10 &<< 32
  default: break
  }
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

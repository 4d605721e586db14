// SPDX-License-Identifier: Apache-2.0

/// Cuts a large TCP or UDP frame into frames of `segmentSize` bytes of payload, each with finished checksums.
struct Segmentation {
  private let place: TransportHeader
  private let headerLength: Int
  private let segmentSize: Int
  let byteCount: Int

  /// `nil`: the frame is not what its offloads say.
  init?(_ frame: RawSpan, _ offloads: FrameOffloads) {
    guard let place = TransportHeader(frame), offloads.segmentSize > 0 else { return nil }
    let wanted: (TransportHeader.Network?, UInt8)
    switch offloads.segmentation {
    case .tcp4: wanted = (.ip4, TransportHeader.tcp)
    case .tcp6: wanted = (.ip6, TransportHeader.tcp)
    case .udp: wanted = (nil, TransportHeader.udp)
    case .none, .udpFragments: return nil
    }
    guard place.transport == wanted.1, wanted.0 == nil || wanted.0 == place.network else { return nil }
    let length = place.transport == TransportHeader.tcp ? Int(frame.byte(place.start + 12) >> 4) * 4 : 8
    guard length >= (place.transport == TransportHeader.tcp ? 20 : 8), place.start + length < frame.byteCount,
      place.start + length <= Self.maximumHeader
    else { return nil }
    self.place = place
    headerLength = place.start + length
    segmentSize = Int(offloads.segmentSize)
    byteCount = frame.byteCount
    guard count <= Self.maximumSegments else { return nil }
  }

  /// A large frame in segments of the least MSS that Linux takes (48 bytes): more would only be work.
  static let maximumSegments = 1400

  /// Ethernet with two tags, IP and TCP with all their options, and room for IPv6's extensions.
  static let maximumHeader = 512

  var count: Int { (byteCount - headerLength + segmentSize - 1) / segmentSize }

  /// Writes segment `index` to `room`. Returns its length; 0: no room for it.
  func write(_ index: Int, of frame: UnsafeRawBufferPointer, to room: UnsafeMutableRawBufferPointer) -> Int {
    let offset = index * segmentSize
    let payload = min(segmentSize, byteCount - headerLength - offset)
    let length = headerLength + payload
    guard payload > 0, length <= room.count, byteCount <= frame.count else { return 0 }
    let segment = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<length])
    unsafe segment.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[..<headerLength]))
    unsafe UnsafeMutableRawBufferPointer(rebasing: segment[headerLength...]).copyMemory(
      from: UnsafeRawBufferPointer(rebasing: frame[headerLength + offset..<headerLength + offset + payload]))
    unsafe network(segment, index)
    unsafe transport(segment, offset, isLast: offset + payload == byteCount - headerLength, index)
    return length
  }

  private func network(_ segment: UnsafeMutableRawBufferPointer, _ index: Int) {
    let start = place.networkStart
    switch place.network {
    case .ip4:
      unsafe store(UInt16(clamping: segment.count - start), segment, start + 2)
      unsafe store(load(segment, start + 4) &+ UInt16(truncatingIfNeeded: index), segment, start + 4)
      unsafe store(UInt16(0), segment, start + 10)
      var sum = InternetChecksum()
      unsafe sum.add(UnsafeRawBufferPointer(rebasing: segment[start..<place.start]))
      unsafe store(sum.value, segment, start + 10)
    case .ip6:
      unsafe store(UInt16(clamping: segment.count - start - 40), segment, start + 4)
    }
  }

  private func transport(_ segment: UnsafeMutableRawBufferPointer, _ offset: Int, isLast: Bool, _ index: Int) {
    let start = place.start
    if place.transport == TransportHeader.tcp {
      let sequence = unsafe UInt32(load(segment, start + 4)) << 16 | UInt32(load(segment, start + 6))
      let next = sequence &+ UInt32(truncatingIfNeeded: offset)
      unsafe store(UInt16(truncatingIfNeeded: next >> 16), segment, start + 4)
      unsafe store(UInt16(truncatingIfNeeded: next), segment, start + 6)
      // FIN and PSH belong to the last segment, CWR to the first (RFC 3168, 6.1.2).
      if !isLast { unsafe segment[start + 13] &= ~0x09 }
      if index > 0 { unsafe segment[start + 13] &= ~0x80 }
    } else {
      unsafe store(UInt16(clamping: segment.count - start), segment, start + 4)
    }
    let check = start + place.checksumOffset
    unsafe store(UInt16(0), segment, check)
    var sum = unsafe place.pseudoHeader(UnsafeRawBufferPointer(segment), byteCount: segment.count - start)
    unsafe sum.add(UnsafeRawBufferPointer(rebasing: segment[start...]))
    let value = sum.value
    unsafe store(value == 0 && place.transport == TransportHeader.udp ? 0xffff : value, segment, check)
  }

  private func load(_ bytes: UnsafeMutableRawBufferPointer, _ offset: Int) -> UInt16 {
    unsafe UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  private func store(_ value: UInt16, _ bytes: UnsafeMutableRawBufferPointer, _ offset: Int) {
    unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }
}

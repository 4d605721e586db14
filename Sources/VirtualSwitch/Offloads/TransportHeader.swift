// SPDX-License-Identifier: Apache-2.0

/// Where IP and TCP or UDP begin in a frame whose lengths fit.
struct TransportHeader: Equatable {
  enum Network: Equatable { case ip4, ip6 }

  let network: Network
  /// Offset of the IP header.
  let networkStart: Int
  /// 6 or 17.
  let transport: UInt8
  /// Offset of the TCP or UDP header.
  let start: Int

  static let tcp: UInt8 = 6
  static let udp: UInt8 = 17

  /// `nil` for anything but a TCP or UDP header that lies in `bytes`, the first bytes of a frame.
  init?(_ bytes: RawSpan) {
    var offset = 12
    for _ in 0..<2 where bytes.word(offset) == VLANTag.etherType || bytes.word(offset) == VLANTag.serviceEtherType {
      offset += 4
    }
    let start = offset + 2
    networkStart = start
    switch bytes.word(offset) {
    case 0x0800:
      let length = Int(bytes.byte(start) & 0xf) * 4
      // Of a datagram's fragments only the first has the header, and none has a checksum of its own.
      guard bytes.byte(start) >> 4 == 4, length >= 20, bytes.word(start + 6) & 0x3fff == 0 else { return nil }
      network = .ip4
      transport = bytes.byte(start + 9)
      self.start = start + length
    case 0x86dd:
      guard bytes.byte(start) >> 4 == 6 else { return nil }
      network = .ip6
      var next = bytes.byte(start + 6)
      var place = start + 40
      // Hop-by-hop, routing and destination options.
      for _ in 0..<8 where next == 0 || next == 43 || next == 60 {
        guard place + 8 <= bytes.byteCount else { return nil }
        next = bytes.byte(place)
        place += (Int(bytes.byte(place + 1)) + 1) * 8
      }
      transport = next
      self.start = place
    default: return nil
    }
    let needed = transport == Self.tcp ? 20 : 8
    guard transport == Self.tcp || transport == Self.udp, self.start + needed <= bytes.byteCount else { return nil }
  }

  /// From `start` to the checksum.
  var checksumOffset: Int { transport == Self.tcp ? 16 : 6 }

  /// The sum of the pseudo header for `byteCount` bytes of TCP or UDP, header included.
  func pseudoHeader(_ bytes: UnsafeRawBufferPointer, byteCount: Int) -> InternetChecksum {
    var sum = InternetChecksum()
    let addresses = network == .ip4 ? networkStart + 12..<networkStart + 20 : networkStart + 8..<networkStart + 40
    if addresses.upperBound <= bytes.count { unsafe sum.add(UnsafeRawBufferPointer(rebasing: bytes[addresses])) }
    sum.add(UInt16(transport))
    sum.add(UInt32(clamping: byteCount))
    return sum
  }
}

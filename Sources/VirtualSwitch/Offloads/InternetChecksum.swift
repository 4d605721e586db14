// SPDX-License-Identifier: Apache-2.0

/// The one's complement sum of IP, TCP and UDP (RFC 1071), over 16-bit words in network order.
struct InternetChecksum {
  private var sum: UInt64 = 0

  /// An odd last byte counts as the high half of a word: only the last piece of a sum may have one.
  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    var offset = 0
    // Four bytes at a time in memory order; 2^32 of them would overflow, and a frame has 2^14.
    var partial: UInt64 = 0
    while offset + 4 <= bytes.count {
      partial &+= UInt64(unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian)
      offset += 4
    }
    if offset + 2 <= bytes.count {
      partial &+= UInt64(unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self).bigEndian)
      offset += 2
    }
    if offset < bytes.count { partial &+= UInt64(unsafe bytes[offset]) << 8 }
    sum &+= partial
  }

  mutating func add(_ word: UInt16) { sum &+= UInt64(word) }
  mutating func add(_ word: UInt32) { sum &+= UInt64(word) }

  /// Not complemented: what a pseudo header's place holds.
  var folded: UInt16 {
    var rest = sum
    while rest >> 16 != 0 { rest = (rest & 0xffff) &+ (rest >> 16) }
    return UInt16(truncatingIfNeeded: rest)
  }

  /// As it stands in a header.
  var value: UInt16 { ~folded }
}

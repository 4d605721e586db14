// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The ones' complement sum of IP, TCP and UDP (RFC 1071), over bytes that come in pieces.
public struct InternetChecksum: Sendable {
  @usableFromInline var sum: UInt64 = 0
  /// Whether the pieces so far have an odd number of bytes.
  @usableFromInline var isOdd = false

  @inlinable public init() {}

  @inlinable
  public mutating func add(_ bytes: RawSpan) {
    var part: UInt64 = 0
    var at = 0
    let count = bytes.byteCount
    while count &- at >= 4 {
      part &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt32.self))
      at &+= 4
    }
    if count &- at >= 2 {
      part &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt16.self))
      at &+= 2
    }
    if at < count { part &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt8.self)) }
    // Summed little-endian; a piece at an odd place counts with its bytes swapped.
    let folded = Self.fold(part)
    sum &+= UInt64(isOdd ? folded.byteSwapped : folded)
    if count & 1 != 0 { isOdd = !isOdd }
  }

  /// A 16-bit number in network byte order, at an even place.
  @inlinable public mutating func add(bigEndian value: UInt16) { sum &+= UInt64(value.byteSwapped) }

  /// What stands in a header, as a number in network byte order: the sum's complement.
  @inlinable public var value: UInt16 { ~partial }

  /// The sum itself: what a header holds whose checksum is still to be completed.
  @inlinable public var partial: UInt16 { Self.fold(sum).byteSwapped }

  @inlinable
  static func fold(_ sum: UInt64) -> UInt16 {
    var sum = (sum &>> 32) &+ (sum & 0xFFFF_FFFF)
    sum = (sum &>> 16) &+ (sum & 0xFFFF)
    sum = (sum &>> 16) &+ (sum & 0xFFFF)
    sum = (sum &>> 16) &+ (sum & 0xFFFF)
    return UInt16(truncatingIfNeeded: sum)
  }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// UTF-16 on the wire against UTF-8 in memory, without allocation: for guests, whose programs speak UTF-8.
///
/// What is not valid becomes U+FFFD, on both ways; the copy never fails half-way.
public enum WireText {
  private static var replacement: UInt32 { 0xFFFD }

  /// Turns at most `byteCount` bytes of UTF-16 at `offset`, up to the first NUL, into UTF-8. Stops before the first
  /// character that does not fit `output` whole. Returns the number of bytes written; no terminator is added.
  @_lifetime(output: copy output)
  public static func utf8(
    from bytes: RawSpan, at offset: Int, byteCount: Int, into output: inout MutableRawSpan
  ) throws(WireError) -> Int {
    try utf8(from: bytes, at: offset, byteCount: byteCount, into: &output, at: 0, room: output.byteCount)
  }

  /// The same, into `room` bytes of `output` from `place` on.
  @_lifetime(output: copy output)
  public static func utf8(
    from bytes: RawSpan, at offset: Int, byteCount: Int, into output: inout MutableRawSpan, at place: Int, room: Int
  ) throws(WireError) -> Int {
    let text = try bytes.slice(at: offset, count: byteCount)
    var position = 0
    var written = 0
    while let scalar = try next(text, &position) {
      let count = size(of: scalar)
      guard written &+ count <= room else { break }
      try write(scalar, count, to: &output, at: place &+ written)
      written &+= count
    }
    return written
  }

  /// How many bytes `utf8` would write, had it the room.
  public static func utf8Size(of bytes: RawSpan, at offset: Int, byteCount: Int) throws(WireError) -> Int {
    let text = try bytes.slice(at: offset, count: byteCount)
    var position = 0
    var written = 0
    while let scalar = try next(text, &position) { written &+= size(of: scalar) }
    return written
  }

  private static func size(of scalar: UInt32) -> Int {
    scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4
  }

  /// The character at `position`, which moves on; nil at the end and at a NUL.
  private static func next(_ text: RawSpan, _ position: inout Int) throws(WireError) -> UInt32? {
    guard position &+ 2 <= text.byteCount else { return nil }
    let unit = UInt32(try text.read(UInt16.self, at: position))
    position &+= 2
    if unit == 0 { return nil }
    guard unit & 0xF800 == 0xD800 else { return unit }
    guard unit < 0xDC00, position &+ 2 <= text.byteCount else { return replacement }
    let low = UInt32(try text.read(UInt16.self, at: position))
    guard low & 0xFC00 == 0xDC00 else { return replacement }
    position &+= 2
    return 0x10000 &+ ((unit & 0x3FF) << 10 | low & 0x3FF)
  }

  /// Turns UTF-8, up to the first NUL, into UTF-16 at `offset`, at most `units` units with the terminator, which is
  /// always written. Stops before the first character that does not fit. Returns the units written, with terminator.
  @_lifetime(output: copy output)
  public static func utf16(
    from text: RawSpan, into output: inout MutableRawSpan, at offset: Int, units: Int
  ) throws(WireError) -> Int {
    guard units > 0 else { return 0 }
    var position = 0
    var written = 0
    while position < text.byteCount {
      let (scalar, length) = try decode(text, at: position)
      if scalar == 0 { break }
      position &+= length
      let count = scalar < 0x10000 ? 1 : 2
      guard written &+ count < units else { break }
      let place = offset &+ 2 &* written
      if count == 1 {
        try output.write(UInt16(truncatingIfNeeded: scalar), at: place)
      } else {
        let rest = scalar &- 0x10000
        try output.write(UInt16(truncatingIfNeeded: 0xD800 | rest >> 10), at: place)
        try output.write(UInt16(truncatingIfNeeded: 0xDC00 | rest & 0x3FF), at: place &+ 2)
      }
      written &+= count
    }
    try output.write(UInt16(0), at: offset &+ 2 &* written)
    return written &+ 1
  }

  @_lifetime(output: copy output)
  private static func write(
    _ scalar: UInt32, _ count: Int, to output: inout MutableRawSpan, at offset: Int
  ) throws(WireError) {
    if count == 1 {
      try output.write(UInt8(truncatingIfNeeded: scalar), at: offset)
      return
    }
    let mark: UInt32 = count == 2 ? 0xC0 : count == 3 ? 0xE0 : 0xF0
    var shift = UInt32(6 &* (count &- 1))
    try output.write(UInt8(truncatingIfNeeded: mark | scalar >> shift), at: offset)
    for index in 1..<count {
      shift &-= 6
      try output.write(UInt8(truncatingIfNeeded: 0x80 | (scalar >> shift) & 0x3F), at: offset &+ index)
    }
  }

  /// One character of UTF-8 and how many bytes it took; a byte that begins none is one U+FFFD.
  private static func decode(_ text: RawSpan, at offset: Int) throws(WireError) -> (scalar: UInt32, length: Int) {
    let first = UInt32(try text.read(UInt8.self, at: offset))
    if first < 0x80 { return (first, 1) }
    let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
    guard first >= 0xC2, first <= 0xF4, offset &+ length <= text.byteCount else { return (replacement, 1) }
    var scalar = first & (length == 2 ? 0x1F : length == 3 ? 0x0F : 0x07)
    for index in 1..<length {
      let next = UInt32(try text.read(UInt8.self, at: offset &+ index))
      guard next & 0xC0 == 0x80 else { return (replacement, 1) }
      scalar = scalar << 6 | next & 0x3F
    }
    let smallest: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000
    guard scalar >= smallest, scalar <= 0x10FFFF, scalar & 0xFFFF_F800 != 0xD800 else { return (replacement, 1) }
    return (scalar, length)
  }
}

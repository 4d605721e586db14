// SPDX-License-Identifier: Apache-2.0

/// Writes the descriptor data that follows a packet's 16 fixed bytes, for `RingWriter.write(descriptorTail:)`.
///
/// Offsets count from the start of `bytes`, which is 16 bytes into the packet. Each function returns the offset behind
/// what it wrote; the last one is the tail's length.
public enum DescriptorTail {
  /// The fixed part of a GPA-direct descriptor: reserved u32, range count u32.
  @_lifetime(bytes: copy bytes)
  public static func beginGPADirect(rangeCount: UInt32, into bytes: inout MutableRawSpan) throws(WireError) -> Int {
    try bytes.write(UInt32(0), at: 0)
    try bytes.write(rangeCount, at: 4)
    return 8
  }

  /// The fixed part of a transfer-page descriptor: set id u16, sender-owns u8 = 0, reserved u8, range count u32.
  @_lifetime(bytes: copy bytes)
  public static func beginTransferPages(
    setID: UInt16, rangeCount: UInt32, into bytes: inout MutableRawSpan
  ) throws(WireError) -> Int {
    try bytes.write(setID, at: 0)
    try bytes.write(UInt16(0), at: 2)
    try bytes.write(rangeCount, at: 4)
    return 8
  }

  /// The first 8 bytes of a range of either kind; in a GPA-direct packet its page numbers follow.
  @_lifetime(bytes: copy bytes)
  public static func range(
    byteCount: UInt32, byteOffset: UInt32, at offset: Int, into bytes: inout MutableRawSpan
  ) throws(WireError) -> Int {
    try bytes.write(byteCount, at: offset)
    try bytes.write(byteOffset, at: offset &+ 4)
    return offset &+ 8
  }

  /// One guest page number.
  @_lifetime(bytes: copy bytes)
  public static func pageFrame(
    _ frame: UInt64, at offset: Int, into bytes: inout MutableRawSpan
  ) throws(WireError) -> Int {
    try bytes.write(frame, at: offset)
    return offset &+ 8
  }
}

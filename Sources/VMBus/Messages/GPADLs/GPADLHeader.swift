// SPDX-License-Identifier: Apache-2.0

/// Share these pages with the host: the first message of a GPADL, with as much of its ranges as fits. The rest follows
/// in `GPADLBody` messages; one `GPADLCreated` answers them all.
///
/// A range is {byte count u32, byte offset into the first page u32} followed by its page frame numbers, one u64 each;
/// so the ranges are a sequence of 64-bit words. Linux always sends one range.
public struct GPADLHeader: ChannelMessage {
  public static var type: MessageType { .gpadlHeader }
  public static let wireSize = 20
  /// 64-bit words behind the fields: one for the range and 26 page frame numbers.
  public static let maximumWords = 27

  /// At byte 8.
  public var channel: ChannelID
  /// At byte 12.
  public var gpadl: GPADLID
  /// At byte 16. Bytes of all ranges together, those in the bodies included.
  public var rangeBytes: UInt16
  /// At byte 18.
  public var rangeCount: UInt16
  /// At byte 20. The first words of the ranges.
  public var words: GPADLWords

  public var byteCount: Int { Self.wireSize &+ words.count &* 8 }

  public init(channel: ChannelID, gpadl: GPADLID, rangeBytes: UInt16, rangeCount: UInt16, words: GPADLWords) {
    self.channel = channel
    self.gpadl = gpadl
    self.rangeBytes = rangeBytes
    self.rangeCount = rangeCount
    self.words = words
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    channel = ChannelID(try bytes.read(UInt32.self, at: 8))
    gpadl = GPADLID(try bytes.read(UInt32.self, at: 12))
    rangeBytes = try bytes.read(UInt16.self, at: 16)
    rangeCount = try bytes.read(UInt16.self, at: 18)
    words = try GPADLWords(decoding: bytes, from: Self.wireSize, limit: Self.maximumWords)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(channel.rawValue, at: 8)
    try bytes.write(gpadl.rawValue, at: 12)
    try bytes.write(rangeBytes, at: 16)
    try bytes.write(rangeCount, at: 18)
    try words.encode(into: &bytes, at: Self.wireSize)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// More words of the ranges of a GPADL whose header has been sent. It names no channel.
public struct GPADLBody: ChannelMessage {
  public static var type: MessageType { .gpadlBody }
  public static let wireSize = 16
  /// 64-bit words behind the fields.
  public static let maximumWords = 28

  /// At byte 8. Linux leaves it 0, so it cannot tell the order; the SynIC keeps messages in order anyway.
  public var messageNumber: UInt32
  /// At byte 12.
  public var gpadl: GPADLID
  /// At byte 16.
  public var words: GPADLWords

  public var byteCount: Int { Self.wireSize &+ words.count &* 8 }

  public init(messageNumber: UInt32 = 0, gpadl: GPADLID, words: GPADLWords) {
    self.messageNumber = messageNumber
    self.gpadl = gpadl
    self.words = words
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    messageNumber = try bytes.read(UInt32.self, at: 8)
    gpadl = GPADLID(try bytes.read(UInt32.self, at: 12))
    words = try GPADLWords(decoding: bytes, from: Self.wireSize, limit: Self.maximumWords)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(messageNumber, at: 8)
    try bytes.write(gpadl.rawValue, at: 12)
    try words.encode(into: &bytes, at: Self.wireSize)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The payload of one SynIC message, up to 240 bytes, held in place.
public struct MessageBuffer: Sendable {
  public static let capacity = 240

  @usableFromInline var words: InlineArray<30, UInt64>
  /// 0…240.
  public private(set) var byteCount: Int

  public init() {
    words = InlineArray(repeating: 0)
    byteCount = 0
  }

  /// Fails when `bytes` are more than a message can carry.
  public init(_ bytes: RawSpan) throws(WireError) {
    self.init()
    guard bytes.byteCount <= Self.capacity else { throw .invalid(offset: Self.capacity) }
    var span = words.mutableSpan
    var target = unsafe span.mutableBytes
    try target.write(bytes, at: 0)
    byteCount = bytes.byteCount
  }

  /// The wire form of one of our own messages, which always fits.
  public init(_ message: some ChannelMessage) {
    self.init()
    var span = words.mutableSpan
    var target = unsafe span.mutableBytes
    do throws(WireError) {
      try message.encode(into: &target)
    } catch {
      preconditionFailure("a channel message is longer than a SynIC message")
    }
    byteCount = message.byteCount
  }

  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe words.span.bytes.extracting(unchecked: 0..<byteCount) }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Everything is dropped; a new contact may follow. Linux waits for it without a time limit (100 s after a panic).
public struct UnloadResponse: ChannelMessage {
  public static var type: MessageType { .unloadResponse }
  public static let wireSize = 8

  public init() {}

  public init(decoding bytes: RawSpan) throws(WireError) {
    _ = try bytes.slice(at: 0, count: Self.wireSize)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Drop all channels and GPADLs; answered by `UnloadResponse`. From version 3.0 on.
public struct Unload: ChannelMessage {
  public static var type: MessageType { .unload }
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

// SPDX-License-Identifier: Apache-2.0

/// The offers that were there at the time of the request have all been sent.
public struct AllOffersDelivered: ChannelMessage {
  public static var type: MessageType { .allOffersDelivered }
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

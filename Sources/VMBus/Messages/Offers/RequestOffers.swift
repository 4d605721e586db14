// SPDX-License-Identifier: Apache-2.0

/// List the devices: answered by one `Offer` each, then `AllOffersDelivered`.
public struct RequestOffers: ChannelMessage {
  public static var type: MessageType { .requestOffers }
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

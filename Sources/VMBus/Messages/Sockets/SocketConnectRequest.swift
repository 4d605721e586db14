// SPDX-License-Identifier: Apache-2.0

/// Connect a Hyper-V socket to a service of the host ("TL connect request"). From 5.2 on a silo GUID may follow; it
/// is not read.
public struct SocketConnectRequest: ChannelMessage {
  public static var type: MessageType { .socketConnectRequest }
  public static let wireSize = 40

  /// At byte 8.
  public var endpoint: GUID
  /// At byte 24.
  public var service: GUID

  public init(endpoint: GUID, service: GUID) {
    self.endpoint = endpoint
    self.service = service
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    endpoint = try GUID(decoding: bytes, at: 8)
    service = try GUID(decoding: bytes, at: 24)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try endpoint.encode(into: &bytes, at: 8)
    try service.encode(into: &bytes, at: 24)
  }
}

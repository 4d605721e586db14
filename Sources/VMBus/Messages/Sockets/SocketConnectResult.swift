// SPDX-License-Identifier: Apache-2.0

/// The end of connecting a Hyper-V socket, sent when it failed ("TL connect result").
public struct SocketConnectResult: ChannelMessage {
  public static var type: MessageType { .socketConnectResult }
  public static let wireSize = 44

  /// At byte 8.
  public var endpoint: GUID
  /// At byte 24.
  public var service: GUID
  /// At byte 40.
  public var status: NTStatus

  public init(endpoint: GUID, service: GUID, status: NTStatus) {
    self.endpoint = endpoint
    self.service = service
    self.status = status
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    endpoint = try GUID(decoding: bytes, at: 8)
    service = try GUID(decoding: bytes, at: 24)
    status = NTStatus(rawValue: try bytes.read(UInt32.self, at: 40))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try endpoint.encode(into: &bytes, at: 8)
    try service.encode(into: &bytes, at: 24)
    try bytes.write(status.rawValue, at: 40)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The answer to a contact. Linux waits for it without a time limit, so there is always one.
///
/// The longer forms of 6.0 (supported features, monitor pages of the host) are not written, since 6.0 is refused.
public struct VersionResponse: ChannelMessage {
  public static var type: MessageType { .versionResponse }
  public static let wireSize = 16

  /// At byte 8: not 0 when the version is spoken.
  public var isSupported: Bool
  /// At byte 9.
  public var state: ConnectionState
  /// At byte 12. Below 5.0 the version once more; from 5.0 on the connection of all later messages.
  public var versionOrConnection: UInt32

  public init(isSupported: Bool, state: ConnectionState, versionOrConnection: UInt32) {
    self.isSupported = isSupported
    self.state = state
    self.versionOrConnection = versionOrConnection
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    isSupported = try bytes.read(UInt8.self, at: 8) != 0
    state = ConnectionState(rawValue: try bytes.read(UInt8.self, at: 9))
    versionOrConnection = try bytes.read(UInt32.self, at: 12)
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write((isSupported ? 1 : 0) as UInt8, at: 8)
    try bytes.write(state.rawValue, at: 9)
    try bytes.write(0 as UInt16, at: 10)
    try bytes.write(versionOrConnection, at: 12)
  }
}

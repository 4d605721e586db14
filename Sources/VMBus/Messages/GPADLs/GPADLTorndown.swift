// SPDX-License-Identifier: Apache-2.0

/// The host uses the memory no more. Linux waits for it without a time limit unless the channel is rescinded.
public struct GPADLTorndown: ChannelMessage {
  public static var type: MessageType { .gpadlTorndown }
  public static let wireSize = 12

  /// At byte 8.
  public var gpadl: GPADLID

  public init(gpadl: GPADLID) {
    self.gpadl = gpadl
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    gpadl = GPADLID(rawValue: try bytes.read(UInt32.self, at: 8))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try bytes.write(gpadl.rawValue, at: 8)
  }
}

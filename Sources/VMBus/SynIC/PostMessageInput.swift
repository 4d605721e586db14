// SPDX-License-Identifier: Apache-2.0

/// The input of the post-message hypercall (0x5C): connection u32 @0, reserved u32 @4, message type u32 @8, payload
/// size u32 @12, payload @16; 256 bytes of guest memory, 8-aligned, copied once before they are read.
public struct PostMessageInput: Sendable {
  public static let callCode: UInt16 = 0x5C
  public static let wireSize = 256
  public static let headerSize = 16

  public var connection: ConnectionID
  /// Linux always says 1.
  public var messageType: UInt32
  public var payload: MessageBuffer

  public init(connection: ConnectionID, messageType: UInt32 = SynIC.channelMessageType, payload: MessageBuffer) {
    self.connection = connection
    self.messageType = messageType
    self.payload = payload
  }

  /// Fails on a payload size above 240 or past the end of `bytes`: the hypercall's status is then invalid parameter.
  public init(decoding bytes: RawSpan) throws(WireError) {
    connection = ConnectionID(try bytes.read(UInt32.self, at: 0))
    messageType = try bytes.read(UInt32.self, at: 8)
    let count = try bytes.read(UInt32.self, at: 12)
    guard count <= UInt32(MessageBuffer.capacity) else { throw .invalid(offset: 12) }
    payload = try MessageBuffer(bytes.slice(at: Self.headerSize, count: Int(count)))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try bytes.write(connection.rawValue, at: 0)
    try bytes.write(0 as UInt32, at: 4)
    try bytes.write(messageType, at: 8)
    try bytes.write(UInt32(truncatingIfNeeded: payload.byteCount), at: 12)
    try bytes.write(payload.bytes, at: Self.headerSize)
  }
}

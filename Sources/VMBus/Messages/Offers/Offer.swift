// SPDX-License-Identifier: Apache-2.0

/// Here is a channel, and with it a device or a further channel of one.
public struct Offer: ChannelMessage {
  public static var type: MessageType { .offer }
  public static let wireSize = 196

  /// At byte 8. What kind of device.
  public var classID: GUID
  /// At byte 24. Which one: Linux makes the device's name from it.
  public var instanceID: GUID
  /// At byte 56, after 16 reserved bytes.
  public var flags: OfferFlags
  /// At byte 58. Memory-mapped I/O space that the device needs, in MiB.
  public var mmioMegabytes: UInt16
  /// At byte 60. For the device; in named pipe mode it begins with a `PipeMode`.
  public var userData: UserData
  /// At byte 180. 0: the primary channel; others: a sub-channel with the GUIDs of its primary.
  public var subChannelIndex: UInt16
  /// At byte 182. Memory-mapped I/O space that the device could use, in MiB.
  public var optionalMMIOMegabytes: UInt16
  /// At byte 184.
  public var channel: ChannelID
  /// At byte 188, valid with `monitorAllocated`.
  public var monitorID: UInt8
  /// At byte 189, bit 0: the guest signals through the monitor page instead of a hypercall.
  public var monitorAllocated: Bool
  /// At byte 190, bit 0: interrupts of the channel need no bit in a shared interrupt page.
  public var hasDedicatedInterrupt: Bool
  /// At byte 192. Where the guest signals the host.
  public var connection: ConnectionID

  public init(classID: GUID, instanceID: GUID, channel: ChannelID, connection: ConnectionID) {
    self.classID = classID
    self.instanceID = instanceID
    self.channel = channel
    self.connection = connection
    flags = .none
    mmioMegabytes = 0
    userData = UserData()
    subChannelIndex = 0
    optionalMMIOMegabytes = 0
    monitorID = 0
    monitorAllocated = false
    hasDedicatedInterrupt = true
  }

  public init(decoding bytes: RawSpan) throws(WireError) {
    classID = try GUID(decoding: bytes, at: 8)
    instanceID = try GUID(decoding: bytes, at: 24)
    flags = OfferFlags(rawValue: try bytes.read(UInt16.self, at: 56))
    mmioMegabytes = try bytes.read(UInt16.self, at: 58)
    userData = try UserData(decoding: bytes, at: 60)
    subChannelIndex = try bytes.read(UInt16.self, at: 180)
    optionalMMIOMegabytes = try bytes.read(UInt16.self, at: 182)
    channel = ChannelID(try bytes.read(UInt32.self, at: 184))
    monitorID = try bytes.read(UInt8.self, at: 188)
    monitorAllocated = try bytes.read(UInt8.self, at: 189) & 1 != 0
    hasDedicatedInterrupt = try bytes.read(UInt16.self, at: 190) & 1 != 0
    connection = ConnectionID(try bytes.read(UInt32.self, at: 192))
  }

  @_lifetime(bytes: copy bytes)
  public func encode(into bytes: inout MutableRawSpan) throws(WireError) {
    try encodeHeader(into: &bytes)
    try classID.encode(into: &bytes, at: 8)
    try instanceID.encode(into: &bytes, at: 24)
    try bytes.write(0 as UInt64, at: 40)
    try bytes.write(0 as UInt64, at: 48)
    try bytes.write(flags.rawValue, at: 56)
    try bytes.write(mmioMegabytes, at: 58)
    try userData.encode(into: &bytes, at: 60)
    try bytes.write(subChannelIndex, at: 180)
    try bytes.write(optionalMMIOMegabytes, at: 182)
    try bytes.write(channel.rawValue, at: 184)
    try bytes.write(monitorID, at: 188)
    try bytes.write((monitorAllocated ? 1 : 0) as UInt8, at: 189)
    try bytes.write((hasDedicatedInterrupt ? 1 : 0) as UInt16, at: 190)
    try bytes.write(connection.rawValue, at: 192)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// The guest's end of volume snapshots: hands check, freeze and thaw to whoever can freeze file systems.
public struct VolumeSnapshotClient: Sendable {
  public private(set) var link: ServiceLink
  private var outstanding: IntegrationHeader?
  /// What the host waits for: `hotBackup`, `freeze` or `thaw`.
  public private(set) var operation: SnapshotOperation?

  public init(link: ServiceLink = ServiceLink(.volumeSnapshot)) {
    self.link = link
  }

  public mutating func channelOpened() {
    link.reset()
    outstanding = nil
    operation = nil
  }

  @_lifetime(packet: copy packet)
  public mutating func receive(_ packet: inout MutableRawSpan) throws(ClientFault) -> ClientAnswer {
    guard outstanding == nil else {
      link.countFault()
      throw .busy
    }
    guard case .request(let header) = try link.receive(&packet) else { return .send }
    let message: SnapshotMessage
    do throws(WireError) {
      message = try Self.decode(packet.bytes, header)
    } catch {
      link.countFault()
      throw ClientFault(error)
    }
    switch message.operation {
    case .hotBackup, .freeze, .thaw:
      outstanding = header
      operation = message.operation
      return .later
    case .create, .delete, .getDriverInfo, .backupComplete:
      // Nothing to do for a guest whose file systems freeze as a whole; Linux agrees too.
      try Self.write(flags: 0, in: &packet)
      try ServiceLink.answer(header, status: .ok, in: &packet)
      return .send
    default:
      try ServiceLink.answer(header, status: .notSupported, in: &packet)
      return .send
    }
  }

  /// Answers the operation that is being worked on.
  @_lifetime(packet: copy packet)
  public mutating func answer(_ status: IntegrationStatus, in packet: inout MutableRawSpan) throws(ClientFault) {
    guard let header = outstanding, let operation else { throw .notOutstanding }
    outstanding = nil
    self.operation = nil
    if operation == .hotBackup { try Self.write(flags: SnapshotMessage.supportedWithoutAutoRecovery, in: &packet) }
    try ServiceLink.answer(header, status: status, in: &packet)
  }

  private static func decode(_ packet: RawSpan, _ header: IntegrationHeader) throws(WireError) -> SnapshotMessage {
    try SnapshotMessage(decoding: packet.slice(at: IntegrationHeader.wireSize, count: Int(header.bodySize)))
  }

  @_lifetime(packet: copy packet)
  private static func write(flags: UInt32, in packet: inout MutableRawSpan) throws(ClientFault) {
    do throws(WireError) {
      try packet.write(flags, at: IntegrationHeader.wireSize &+ SnapshotMessage.flagsOffset)
    } catch {
      throw ClientFault(error)
    }
  }
}

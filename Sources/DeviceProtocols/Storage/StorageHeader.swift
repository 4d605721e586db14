// SPDX-License-Identifier: Apache-2.0

import VMBus

/// The first 12 bytes of every vstor packet; a body of 52 bytes follows, of 36 with old versions.
///
/// Layout: `vstor_packet` in drivers/scsi/storvsc_drv.c of Linux 6.1 and 6.12.
public struct StorageHeader: Hashable, Sendable {
  public static let wireSize = 12
  /// Bytes of a whole packet. Linux drops an answer that is shorter.
  public static let packetSize = 64
  /// Bytes of a whole packet before version 5.1, when a request block ended after 36 bytes.
  public static let oldPacketSize = 48

  /// At byte 0.
  public var operation: StorageOperation
  /// At byte 4: 1 when the sender wants a completion. Linux always does.
  public var flags: UInt32
  /// At byte 8, in answers. Linux looks whether it is 0.
  public var status: NTStatus

  @inlinable public static var completionFlag: UInt32 { 1 }

  @inlinable
  public init(operation: StorageOperation, flags: UInt32 = 0, status: NTStatus = NTStatus(rawValue: 0)) {
    self.operation = operation
    self.flags = flags
    self.status = status
  }

  @inlinable
  public init(decoding packet: RawSpan) throws(WireError) {
    operation = StorageOperation(rawValue: try packet.read(UInt32.self, at: 0))
    flags = try packet.read(UInt32.self, at: 4)
    status = NTStatus(rawValue: try packet.read(UInt32.self, at: 8))
  }

  @inlinable @_lifetime(packet: copy packet)
  public func encode(into packet: inout MutableRawSpan) throws(WireError) {
    try packet.write(operation.rawValue, at: 0)
    try packet.write(flags, at: 4)
    try packet.write(status.rawValue, at: 8)
  }
}

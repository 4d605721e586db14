// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the host says about a controller: the body of the answer to QUERY_PROPERTIES.
///
/// Layout: `vmstorage_channel_properties` in drivers/scsi/storvsc_drv.c of Linux 6.1 and 6.12.
public struct StorageProperties: Hashable, Sendable {
  public static let bodySize = 24

  /// At byte 16 of the packet: how many channels the guest may ask for besides the first.
  public var maximumSubChannels: UInt16
  /// At byte 20, bit 0.
  public var hasSubChannels: Bool
  /// At byte 24. Linux rounds it down to whole pages and takes its longest request and scatter list from it; 0 breaks it.
  public var maximumTransferBytes: UInt32

  @inlinable
  public init(maximumSubChannels: UInt16, maximumTransferBytes: UInt32) {
    self.maximumSubChannels = maximumSubChannels
    hasSubChannels = maximumSubChannels > 0
    self.maximumTransferBytes = maximumTransferBytes
  }

  public init(decodingBodyOf packet: RawSpan) throws(WireError) {
    maximumSubChannels = try packet.read(UInt16.self, at: 16)
    hasSubChannels = try packet.read(UInt32.self, at: 20) & 1 != 0
    maximumTransferBytes = try packet.read(UInt32.self, at: 24)
    _ = try packet.read(UInt64.self, at: 28)
  }

  @_lifetime(packet: copy packet)
  public func encode(intoBodyOf packet: inout MutableRawSpan) throws(WireError) {
    try packet.write(0 as UInt32, at: 12)
    try packet.write(maximumSubChannels, at: 16)
    try packet.write(0 as UInt16, at: 18)
    try packet.write((hasSubChannels ? 1 : 0) as UInt32, at: 20)
    try packet.write(maximumTransferBytes, at: 24)
    try packet.write(0 as UInt64, at: 28)
  }
}

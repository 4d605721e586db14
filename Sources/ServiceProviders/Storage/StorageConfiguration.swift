// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// What a controller offers the guest; fixed over its life.
public struct StorageConfiguration: Sendable {
  public var controller: StorageController
  /// Newer versions are refused, so that the guest asks for an older one.
  public var maximumVersion: StorageVersion
  /// Channels besides the first. Always 0 for IDE.
  public var maximumSubChannels: UInt16
  /// Longest request, a multiple of 4096. Longer ones are refused.
  public var maximumTransferBytes: UInt32
  /// Packets of one channel that may be worked on or wait for room in the ring. While all slots are taken the guest's
  /// ring is not read, so this is the bound of everything that the guest can pile up. 1…65536.
  public var slotsPerChannel: Int

  public init(
    controller: StorageController = .scsi, maximumVersion: StorageVersion = .v6_2, maximumSubChannels: UInt16 = 0,
    maximumTransferBytes: UInt32 = 1 << 20, slotsPerChannel: Int = 1024
  ) {
    self.controller = controller
    self.maximumVersion = maximumVersion
    self.maximumSubChannels = controller == .scsi ? maximumSubChannels : 0
    self.maximumTransferBytes = maximumTransferBytes
    self.slotsPerChannel = slotsPerChannel
  }

  var properties: StorageProperties {
    StorageProperties(maximumSubChannels: maximumSubChannels, maximumTransferBytes: maximumTransferBytes)
  }
}

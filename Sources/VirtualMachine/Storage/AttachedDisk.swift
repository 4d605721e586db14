// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// A disk or DVD drive of a running machine, as it is now.
struct AttachedDisk: Sendable {
  /// The unit number is set; the path is that of the disc that is in now.
  var configuration: DiskConfiguration
  /// nil: a DVD drive without a disc.
  var information: ImageInformation?
  var figures: DriveStatistics.Figures
  /// A request waits for space on the host.
  var waitsForSpace: Bool

  var place: StorageGroup.Place {
    StorageGroup.Place(controller: configuration.controller, unit: UInt8(clamping: configuration.unit ?? 0))
  }
}

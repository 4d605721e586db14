// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import VirtualDisks

/// A disk or DVD drive of a running machine, as it is now.
struct AttachedDisk: Sendable {
  var address: DiskAddress
  /// Of an IDE drive.
  var interface: ControlAPI.AttachedDisk.Interface?
  /// The path is that of the disc that is in now.
  var configuration: DiskConfiguration
  /// nil: a DVD drive without a disc.
  var information: ImageInformation?
  var figures: DriveStatistics.Figures
  /// A request waits for space on the host.
  var waitsForSpace: Bool
  /// The image takes no more writes.
  var isPoisoned: Bool

  init(
    address: DiskAddress, interface: ControlAPI.AttachedDisk.Interface? = nil, configuration: DiskConfiguration,
    drive: Drive, waitsForSpace: Bool
  ) {
    self.address = address
    self.interface = interface
    self.configuration = configuration
    information = drive.information
    figures = drive.statistics.figures
    self.waitsForSpace = waitsForSpace
    isPoisoned = drive.isPoisoned
  }
}

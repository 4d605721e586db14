// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import Synchronization
import VirtualDisks

/// A disk or a DVD drive in its place on a controller: the model that speaks SCSI, and the drive behind it.
final class StorageUnit: Sendable {
  let number: UInt8
  let drive: Drive
  private let model: Mutex<SCSIUnit>

  init(number: UInt8, drive: Drive) {
    self.number = number
    self.drive = drive
    model = Mutex(SCSIUnit(drive.characteristics))
  }

  /// Runs `body` on the model. Called on the channels' threads for each command: nothing in it may block.
  func withModel<R>(_ body: (inout sending SCSIUnit) -> sending R) -> sending R { model.withLock(body) }
}

// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import VirtualDisks

extension StorageUnit {
  /// Makes a disk larger or smaller. The guest hears of it when it is told to look. `sizeChanges`: called with what can be
  /// used from that moment on.
  func resize(
    to byteCount: UInt64, sizeChanges: (UInt64) -> Void = { _ in }
  ) throws(ControlError) {
    guard let image = drive.medium else { return }
    let old = drive.characteristics
    var new = old
    func use(_ characteristics: DriveCharacteristics) {
      drive.update(characteristics)
      sizeChanges(characteristics.byteCount)
    }
    new.byteCount = byteCount
    // A smaller disk must not be written beyond its new end while the image shrinks.
    if byteCount < old.byteCount { use(new) }
    do throws(ImageError) {
      try image.resize(to: byteCount)
    } catch {
      use(old)
      throw ControlError(error)
    }
    new.byteCount = image.information.virtualByteCount
    use(new)
    let resized = new
    withModel { model in
      guard case .disk(var disk) = model else { return }
      disk.update(resized)
      model = .disk(disk)
    }
  }
}

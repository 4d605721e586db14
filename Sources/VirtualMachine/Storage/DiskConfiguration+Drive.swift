// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import VMBus
import VirtualDisks

/// From what a disk is to be to the drive that it is.
extension DiskConfiguration {
  /// nil for a DVD drive without a disc.
  func openImage(_ opener: any StoreOpener) throws(ControlError) -> (any DiskImage)? {
    guard let path else { return nil }
    do throws(ImageError) {
      return try ImageChain.open(path, imageOptions, opener: opener).image
    } catch {
      throw ControlError(error)
    }
  }

  /// `place` names what has no identity of its own: unique on this host, and the same at the next start.
  func characteristics(of image: (any DiskImage)?, place: String) -> DriveCharacteristics {
    let information = image?.information
    let identifier = information?.diskIdentifier ?? .derived(from: place)
    guard kind == .disk, let information else {
      return .dvd(byteCount: information?.virtualByteCount ?? 0, identifier: identifier)
    }
    return DriveCharacteristics(
      byteCount: information.virtualByteCount, logicalSectorSize: information.logicalSectorByteCount,
      physicalSectorSize: information.physicalSectorByteCount, isReadOnly: information.isReadOnly,
      hasWriteCache: hasWriteCache,
      // Not the block size of the format: what is less than a block becomes a hole in the file.
      discardGranularity: information.canDiscard && !information.isReadOnly
        ? max(4096, information.logicalSectorByteCount) : nil,
      identifier: identifier)
  }
}

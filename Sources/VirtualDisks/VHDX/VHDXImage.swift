// SPDX-License-Identifier: Apache-2.0

import Synchronization
import VMBus

/// A VHDX file, open: fixed, dynamic or differencing.
///
/// Data goes straight into blocks. Metadata (block table, sector bitmaps, size) changes in memory and becomes part of the
/// file in a *commit*, one for each flush of the guest: one log entry with every changed page, one flush that makes data
/// and entry durable together, then the pages in place. New blocks read as zeroes until they are written, so a log entry
/// may become durable before the data of an unacknowledged write; only where old contents would be replaced (a parent's)
/// is the data flushed first.
///
/// Two locks: `commits` (held over I/O) before `state` (held over reads of metadata and the clearing of used space).
public final class VHDXImage: DiskImage {
  let store: any ByteStore
  let parent: (any DiskImage)?
  let parentByteCount: UInt64
  let parentReference: ParentReference?
  let diskIdentifier: GUID
  let leases = LeaseLedger()
  let state: Mutex<VHDXState>
  let commits: Mutex<VHDXCommitter>
  /// Flushes asked for so far, to let one commit answer for several.
  let flushesAsked = Atomic<UInt64>(0)

  init(
    store: any ByteStore, parent: (any DiskImage)?, metadata: VHDXMetadata, state: consuming VHDXState,
    committer: consuming VHDXCommitter
  ) {
    self.store = store
    self.parent = parent
    parentByteCount = parent?.information.virtualByteCount ?? 0
    diskIdentifier = metadata.diskIdentifier
    parentReference = metadata.parentLocator?.reference
    self.state = Mutex(state)
    commits = Mutex(committer)
  }

  public var information: ImageInformation {
    let (geometry, identifier, mode) = state.withLock { ($0.geometry, $0.dataWriteIdentifier, $0.mode) }
    return ImageInformation(
      geometry, isReadOnly: mode == .readOnly, diskIdentifier: diskIdentifier, identifier: identifier,
      parent: parentReference)
  }

  public var isPoisoned: Bool { state.withLock { $0.mode == .poisoned } }

  public func beginIO() -> IOLease { leases.begin() }

  /// The range, checked: whole sectors inside the disk.
  func check(_ offset: UInt64, _ count: UInt64, _ geometry: VHDXGeometry) throws(ImageError) {
    let sector = geometry.logicalSectorByteCount
    guard offset % sector == 0, count % sector == 0 else {
      throw store.invalid("", "byte \(offset), count \(count) is not in whole sectors of \(sector)")
    }
    guard offset <= geometry.virtualByteCount, count <= geometry.virtualByteCount - offset else {
      throw store.invalid("", "byte \(offset), count \(count) is beyond the disk's end at \(geometry.virtualByteCount)")
    }
  }

  /// An error of the file below while guest data was read or written.
  func failure(_ error: StoreError) -> ImageError { ImageError(error) }
}

extension ImageInformation {
  init(
    _ geometry: VHDXGeometry, isReadOnly: Bool, diskIdentifier: GUID, identifier: GUID, parent: ParentReference?
  ) {
    self.init(
      format: .vhdx, kind: geometry.isFixed ? .fixed : geometry.hasParent ? .differencing : .dynamic,
      virtualByteCount: geometry.virtualByteCount, logicalSectorByteCount: UInt32(geometry.logicalSectorByteCount),
      physicalSectorByteCount: UInt32(geometry.physicalSectorByteCount),
      blockByteCount: UInt32(geometry.blockByteCount), isReadOnly: isReadOnly, diskIdentifier: diskIdentifier,
      identifier: identifier, parent: parent, canDiscard: !geometry.isFixed && !isReadOnly)
  }
}

extension VHDXParentLocator {
  var reference: ParentReference { ParentReference(paths: paths, identifier: linkage) }
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What a device model must know of the drive behind it. A new value follows a change of the drive.
public struct DriveCharacteristics: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case disk
    /// A DVD drive; `byteCount` is that of the disc in it, 0 when there is none.
    case dvd
  }

  public var kind: Kind
  /// A multiple of the logical sector size.
  public var byteCount: UInt64
  /// 512 or 4096; 2048 for a DVD.
  public var logicalSectorSize: UInt32
  /// 512 or 4096, not less than the logical one.
  public var physicalSectorSize: UInt32
  public var isReadOnly: Bool
  /// Whether writes may be lost until a flush. Without it each write is durable when it ends.
  public var hasWriteCache: Bool
  /// Bytes that a discard works in, a power of two; nil: the drive ignores discards.
  public var discardGranularity: UInt32?
  /// Whether what was discarded reads as zeros.
  public var discardedReadsZero: Bool
  public var isRotational: Bool
  /// Printable ASCII, at most 32 characters are used.
  public var serialNumber: String
  /// World-wide unique and stable over the disk's life: the GUID in its image, or one made of its place.
  public var identifier: GUID

  public init(
    kind: Kind = .disk, byteCount: UInt64, logicalSectorSize: UInt32 = 512, physicalSectorSize: UInt32? = nil,
    isReadOnly: Bool = false, hasWriteCache: Bool = true, discardGranularity: UInt32? = nil,
    discardedReadsZero: Bool = true, isRotational: Bool = false, serialNumber: String = "", identifier: GUID
  ) {
    self.kind = kind
    self.byteCount = byteCount
    self.logicalSectorSize = logicalSectorSize
    self.physicalSectorSize = physicalSectorSize ?? logicalSectorSize
    self.isReadOnly = isReadOnly
    self.hasWriteCache = hasWriteCache
    self.discardGranularity = discardGranularity
    self.discardedReadsZero = discardedReadsZero
    self.isRotational = isRotational
    self.serialNumber = serialNumber
    self.identifier = identifier
  }

  /// A disc of `byteCount` bytes (rounded down to whole sectors), or an empty drive.
  public static func dvd(byteCount: UInt64 = 0, serialNumber: String = "", identifier: GUID) -> Self {
    Self(
      kind: .dvd, byteCount: byteCount & ~2047, logicalSectorSize: 2048, isReadOnly: true, hasWriteCache: false,
      serialNumber: serialNumber, identifier: identifier)
  }

  @inlinable public var sectorCount: UInt64 { byteCount / UInt64(logicalSectorSize) }
}

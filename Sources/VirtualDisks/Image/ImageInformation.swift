// SPDX-License-Identifier: Apache-2.0

import VMBus

public enum ImageFormat: String, Sendable, CaseIterable { case raw, iso, vhd, vhdx }

public enum ImageKind: String, Sendable, CaseIterable {
  /// All space is there from the beginning.
  case fixed
  /// Space comes with the first write.
  case dynamic
  /// As `dynamic`, over a parent that shows through where nothing was written.
  case differencing
}

/// How a differencing image names its parent. Both come from the file: untrusted.
public struct ParentReference: Equatable, Sendable {
  /// Every path that the image gives, the ones to try first in front. May be relative, absolute, or a Windows path.
  public var paths: [String]
  /// What must be the parent's `identifier`; nil where the format has none.
  public var identifier: GUID?

  public init(paths: [String], identifier: GUID?) {
    self.paths = paths
    self.identifier = identifier
  }
}

/// What an image says of itself, as of the moment of the question: `resize` changes it.
public struct ImageInformation: Equatable, Sendable {
  public var format: ImageFormat
  public var kind: ImageKind
  /// The disk's size as the guest sees it: a multiple of `logicalSectorByteCount`.
  public var virtualByteCount: UInt64
  /// 512, 2048 (DVD) or 4096: the unit of every offset and count.
  public var logicalSectorByteCount: UInt32
  public var physicalSectorByteCount: UInt32
  /// The unit of allocation; nil where the format has none.
  public var blockByteCount: UInt32?
  public var isReadOnly: Bool
  /// Identifies the disk for the guest (VPD page 83); nil where the format has none.
  public var diskIdentifier: GUID?
  /// What a child remembers of its parent: changes with the data in VHDX, constant in VHD.
  public var identifier: GUID?
  public var parent: ParentReference?
  /// True when `discard` gives space back.
  public var canDiscard: Bool

  public init(
    format: ImageFormat, kind: ImageKind, virtualByteCount: UInt64, logicalSectorByteCount: UInt32,
    physicalSectorByteCount: UInt32, blockByteCount: UInt32? = nil, isReadOnly: Bool, diskIdentifier: GUID? = nil,
    identifier: GUID? = nil, parent: ParentReference? = nil, canDiscard: Bool
  ) {
    self.format = format
    self.kind = kind
    self.virtualByteCount = virtualByteCount
    self.logicalSectorByteCount = logicalSectorByteCount
    self.physicalSectorByteCount = physicalSectorByteCount
    self.blockByteCount = blockByteCount
    self.isReadOnly = isReadOnly
    self.diskIdentifier = diskIdentifier
    self.identifier = identifier
    self.parent = parent
    self.canDiscard = canDiscard
  }
}

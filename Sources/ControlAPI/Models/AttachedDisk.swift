// SPDX-License-Identifier: Apache-2.0

/// A disk or DVD drive of a running machine: one line of `lis vm disk list`.
public struct AttachedDisk: Codable, Hashable, Sendable {
  public enum Kind: String, Codable, CaseIterable, Sendable { case disk, dvd }

  public enum State: String, Codable, CaseIterable, Sendable {
    /// The guest can use it.
    case attached
    /// A DVD drive without a disc.
    case empty
    /// The host has no room for what the guest writes: the machine waits until there is.
    case noSpace = "no-space"
    /// The host could not write the image's metadata: it takes no more writes until it is removed and added again.
    case failed
  }

  /// What the guest reaches an IDE drive through. Never both at once.
  public enum Interface: String, Codable, CaseIterable, Sendable {
    /// The IDE controller's registers.
    case emulated
    /// A channel of the VMBus, which a disk has besides.
    case synthetic
  }

  public var address: DiskAddress {
    if let position { .ide(position) } else { .scsi(controller: controller ?? 0, lun: lun ?? 0) }
  }

  /// The SCSI controller, 0 to 3; absent for an IDE drive.
  public private(set) var controller: Int?
  /// The logical unit on it, 0 to 63; absent for an IDE drive.
  public private(set) var lun: Int?
  /// The plug on the IDE controller; absent for the others.
  public private(set) var position: IDEPlace?
  /// Of an IDE drive: what serves it now.
  public var interface: Interface?
  public var kind: Kind
  /// Of the image; absent for an empty drive.
  public var path: String?
  public var format: DiskFormat?
  /// As the guest sees it; 0 for an empty drive.
  public var sizeBytes: UInt64
  public var readOnly: Bool
  public var writeCache: Bool
  public var logicalSectorBytes: UInt32
  public var physicalSectorBytes: UInt32
  /// The image's unit of allocation, where its format has one.
  public var blockBytes: UInt32?
  public var state: State
  public var counters: DiskCounters

  public init(
    at address: DiskAddress, interface: Interface? = nil, kind: Kind = .disk, path: String?,
    format: DiskFormat? = nil, sizeBytes: UInt64, readOnly: Bool = false, writeCache: Bool = true,
    logicalSectorBytes: UInt32 = 512, physicalSectorBytes: UInt32 = 512, blockBytes: UInt32? = nil,
    state: State = .attached, counters: DiskCounters = DiskCounters()
  ) {
    switch address {
    case .scsi(let controller, let lun): (self.controller, self.lun) = (controller, lun)
    case .ide(let place): position = place
    }
    self.interface = interface
    self.kind = kind
    self.path = path
    self.format = format
    self.sizeBytes = sizeBytes
    self.readOnly = readOnly
    self.writeCache = writeCache
    self.logicalSectorBytes = logicalSectorBytes
    self.physicalSectorBytes = physicalSectorBytes
    self.blockBytes = blockBytes
    self.state = state
    self.counters = counters
  }
}

/// What a disk has done since it was attached.
public struct DiskCounters: Codable, Hashable, Sendable {
  public var reads: UInt64
  public var readBytes: UInt64
  public var writes: UInt64
  public var writtenBytes: UInt64
  public var flushes: UInt64
  public var discards: UInt64
  /// Requests of the guest's that ended in an error of the host's.
  public var failures: UInt64

  public init(
    reads: UInt64 = 0, readBytes: UInt64 = 0, writes: UInt64 = 0, writtenBytes: UInt64 = 0, flushes: UInt64 = 0,
    discards: UInt64 = 0, failures: UInt64 = 0
  ) {
    self.reads = reads
    self.readBytes = readBytes
    self.writes = writes
    self.writtenBytes = writtenBytes
    self.flushes = flushes
    self.discards = discards
    self.failures = failures
  }
}

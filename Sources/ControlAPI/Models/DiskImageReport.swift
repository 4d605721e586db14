// SPDX-License-Identifier: Apache-2.0

/// What `lis disk info` knows of an image file.
public struct DiskImageReport: Codable, Hashable, Sendable {
  public var path: String
  public var format: String
  public var kind: String
  /// The disk's size as a guest sees it.
  public var sizeBytes: UInt64
  public var fileBytes: UInt64
  /// What the file takes on the host.
  public var allocatedBytes: UInt64
  public var logicalSectorBytes: UInt32
  public var physicalSectorBytes: UInt32
  public var blockBytes: UInt32?
  public var diskIdentifier: String?
  /// The nearest first.
  public var parents: [String]
  public var parentProblem: String?
  /// What becomes of space that the guest discards.
  public var discard: String
  /// Who has the file open to write.
  public var inUseBy: String?
  /// What is damaged but has a sound copy.
  public var notes: [String]

  public init(
    path: String, format: String, kind: String, sizeBytes: UInt64, fileBytes: UInt64, allocatedBytes: UInt64,
    logicalSectorBytes: UInt32, physicalSectorBytes: UInt32, blockBytes: UInt32?, diskIdentifier: String?,
    parents: [String], parentProblem: String?, discard: String, inUseBy: String?, notes: [String]
  ) {
    self.path = path
    self.format = format
    self.kind = kind
    self.sizeBytes = sizeBytes
    self.fileBytes = fileBytes
    self.allocatedBytes = allocatedBytes
    self.logicalSectorBytes = logicalSectorBytes
    self.physicalSectorBytes = physicalSectorBytes
    self.blockBytes = blockBytes
    self.diskIdentifier = diskIdentifier
    self.parents = parents
    self.parentProblem = parentProblem
    self.discard = discard
    self.inUseBy = inUseBy
    self.notes = notes
  }
}

/// What `lis disk check` found.
public struct DiskCheckReport: Codable, Hashable, Sendable {
  public struct Finding: Codable, Hashable, Sendable {
    public var file: String
    public var structure: String
    /// In bytes, from the start of the file.
    public var offset: UInt64?
    public var problem: String
    /// `damage` or `note`.
    public var severity: String
    public var repairable: Bool

    public init(
      file: String, structure: String, offset: UInt64?, problem: String, severity: String, repairable: Bool
    ) {
      self.file = file
      self.structure = structure
      self.offset = offset
      self.problem = problem
      self.severity = severity
      self.repairable = repairable
    }
  }

  public var path: String
  public var sound: Bool
  public var repaired: Int
  public var findings: [Finding]

  public init(path: String, sound: Bool, repaired: Int, findings: [Finding]) {
    self.path = path
    self.sound = sound
    self.repaired = repaired
    self.findings = findings
  }
}

/// What `lis disk compact` gave back.
public struct DiskCompactReport: Codable, Hashable, Sendable {
  public var path: String
  public var allocatedBytesBefore: UInt64
  public var allocatedBytesAfter: UInt64

  public init(path: String, allocatedBytesBefore: UInt64, allocatedBytesAfter: UInt64) {
    self.path = path
    self.allocatedBytesBefore = allocatedBytesBefore
    self.allocatedBytesAfter = allocatedBytesAfter
  }
}

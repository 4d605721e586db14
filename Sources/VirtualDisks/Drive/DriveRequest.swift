// SPDX-License-Identifier: Apache-2.0

/// What a device model asks of the drive behind it: a value, executed by somebody who does I/O.
///
/// A model checks a request against what it knows of the drive; whoever executes it checks again, since the drive may
/// have shrunk or gone meanwhile. It carries no identity: the executor's own handle travels beside it.
public struct DriveRequest: Hashable, Sendable {
  public var operation: DriveOperation
  /// From the start of the drive. A multiple of the logical sector size; so is `byteCount`.
  public var byteOffset: UInt64
  public var byteCount: UInt64

  @inlinable
  public init(_ operation: DriveOperation, byteOffset: UInt64 = 0, byteCount: UInt64 = 0) {
    self.operation = operation
    self.byteOffset = byteOffset
    self.byteCount = byteCount
  }

  /// Bytes of the requester's buffer that take part, from its start, on a drive with sectors of `sectorSize` bytes.
  @inlinable public func bufferByteCount(sectorSize: UInt32) -> UInt64 {
    switch operation {
    case .read, .write, .compare: byteCount
    case .writeSame: UInt64(sectorSize)
    case .flush, .discard, .writeZeroes, .verify: 0
    }
  }

  /// Whether the range lies inside a drive of `size` bytes.
  @inlinable public func fits(in size: UInt64) -> Bool { byteOffset <= size && byteCount <= size &- byteOffset }
}

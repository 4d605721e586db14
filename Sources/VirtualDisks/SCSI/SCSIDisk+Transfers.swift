// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

// Reading, writing and verifying. Block numbers are compared by subtraction: no sum of the guest's can overflow.

extension SCSIDisk {
  func read(_ command: SCSICommand, _ block: some FixedWidthInteger & UnsignedInteger, _ count: UInt32) -> SCSIStep {
    let (protection, _) = Self.flags(command)
    return transfer(command, .read, UInt64(block), count, protection)
  }

  func write(_ command: SCSICommand, _ block: some FixedWidthInteger & UnsignedInteger, _ count: UInt32) -> SCSIStep {
    let (protection, forced) = Self.flags(command)
    if geometry.isReadOnly { return .check(.dataProtect, .writeProtected) }
    return transfer(
      command, .write(forceUnitAccess: forced || isForcedThrough), UInt64(block), count, protection)
  }

  /// The drive has a cache that the guest has turned off.
  private var isForcedThrough: Bool { !writeCacheEnabled && characteristics.hasWriteCache }

  /// The protection field, which must be 0, and FUA.
  private static func flags(_ command: SCSICommand) -> (protection: UInt8, forced: Bool) {
    (command.block[1] >> 5, command.block[1] & 0x08 != 0)
  }

  /// READ (6) and WRITE (6): 21 bits of block number; 0 means 256 blocks; no flags.
  func transfer6(_ command: SCSICommand) -> SCSIStep {
    let block = UInt64(command.block.uint24(at: 1) & 0x1F_FFFF)
    let count = command.block[4] == 0 ? 256 : UInt32(command.block[4])
    if command.block.operation == .read6 { return transfer(command, .read, block, count, 0) }
    if geometry.isReadOnly { return .check(.dataProtect, .writeProtected) }
    return transfer(command, .write(forceUnitAccess: isForcedThrough), block, count, 0)
  }

  private func transfer(
    _ command: SCSICommand, _ operation: DriveOperation, _ block: UInt64, _ count: UInt32, _ protection: UInt8
  ) -> SCSIStep {
    guard protection == 0 else { return .invalidField }
    guard contains(block, UInt64(count)) else { return outOfRange(block) }
    guard count <= geometry.maximumSectors else { return .invalidField }
    if count == 0 { return .good }
    let byteCount = count << UInt32(geometry.sectorShift)
    // The adapter's business: Linux always sends a buffer of the right size.
    guard byteCount <= command.bufferByteCount else { return .complete(.invalid) }
    return request(operation, block, UInt64(count), moving: byteCount)
  }

  /// BYTCHK 0 reads, 1 compares with the buffer; others are not supported.
  func verify(_ command: SCSICommand, _ block: UInt64, _ count: UInt32) -> SCSIStep {
    guard command.block[1] >> 5 == 0 else { return .invalidField }
    guard contains(block, UInt64(count)) else { return outOfRange(block) }
    switch command.block[1] >> 1 & 3 {
    case 0:
      guard count <= Self.maximumVerifySectors else { return .invalidField }
      return count == 0 ? .good : request(.verify, block, UInt64(count), moving: 0)
    case 1: return transfer(command, .compare, block, count, 0)
    default: return .invalidField
    }
  }

  /// Nothing is moved, so the transfer limit does not bound it.
  static let maximumVerifySectors: UInt32 = 1 << 17

  func synchronizeCache(_ block: UInt64, _ count: UInt64) -> SCSIStep {
    guard contains(block, count) else { return outOfRange(block) }
    return flush()
  }

  private func flush() -> SCSIStep {
    guard characteristics.hasWriteCache, !geometry.isReadOnly else { return .good }
    return .transfer(DriveRequest(.flush), SCSITask(sectorShift: geometry.sectorShift))
  }

  /// Power conditions are accepted and mean nothing. Before a stop everything is to be on the medium.
  func startStop(_ command: SCSICommand) -> SCSIStep {
    let isPowerCondition = command.block[4] >> 4 != 0
    guard command.block[4] & 2 == 0 || isPowerCondition else { return .invalidField }
    return command.block[4] & 1 == 0 ? flush() : .good
  }

  /// The block written all over the range. 0 blocks, which means to the end, is not supported, as VPD page B0h says.
  func writeSame(_ command: SCSICommand, _ block: UInt64, _ count: UInt64) -> SCSIStep {
    let flags = command.block[1]
    let unmaps = flags & 0x08 != 0
    let hasNoBuffer = command.block.operation == .writeSame16 && flags & 0x01 != 0
    // Protection, ANCHOR, and what was once LBDATA and PBDATA.
    guard flags & 0xF6 == 0, !unmaps || characteristics.discardGranularity != nil else { return .invalidField }
    guard flags & 0x01 == 0 || hasNoBuffer else { return .invalidField }
    guard contains(block, count) else { return outOfRange(block) }
    guard count > 0, count <= Self.maximumWriteSameSectors else { return .invalidField }
    if geometry.isReadOnly { return .check(.dataProtect, .writeProtected) }
    if hasNoBuffer { return request(.writeZeroes(mayUnmap: unmaps), block, count, moving: 0) }
    guard command.bufferByteCount >= characteristics.logicalSectorSize else { return .complete(.invalid) }
    return request(.writeSame(mayUnmap: unmaps), block, count, moving: characteristics.logicalSectorSize)
  }

  /// More than 65535: Linux then takes the 16-byte command, which can unmap.
  static let maximumWriteSameSectors: UInt64 = 1 << 17

  // MARK: Shared

  func contains(_ block: UInt64, _ count: UInt64) -> Bool {
    block <= geometry.sectorCount && count <= geometry.sectorCount - block
  }

  func outOfRange(_ block: UInt64) -> SCSIStep {
    .check(.illegalRequest, .blockOutOfRange, information: block)
  }

  /// The range lies inside the disk, so nothing overflows.
  func request(_ operation: DriveOperation, _ block: UInt64, _ count: UInt64, moving: UInt32) -> SCSIStep {
    let shift = UInt64(geometry.sectorShift)
    return .transfer(
      DriveRequest(operation, byteOffset: block << shift, byteCount: count << shift),
      SCSITask(byteCount: moving, sectorShift: geometry.sectorShift, byteOffset: block << shift))
  }
}

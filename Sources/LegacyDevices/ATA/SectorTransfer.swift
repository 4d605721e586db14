// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// A read or write command under way.
struct SectorTransfer: Equatable, Sendable {
  static let sectorBytes = 512

  var isWrite: Bool
  var isDMA: Bool
  var forceUnitAccess: Bool
  var isExtended: Bool
  /// The next sector.
  var sector: UInt64
  /// Sectors to go.
  var remaining: UInt32
  /// Sectors between two interrupts, for PIO.
  var blockSectors: UInt32

  /// Bytes of the next step: everything for DMA, a block for PIO.
  var stepBytes: Int { Int(isDMA ? remaining : min(remaining, blockSectors)) * Self.sectorBytes }

  var request: DriveRequest {
    DriveRequest(
      isWrite ? .write(forceUnitAccess: forceUnitAccess) : .read, byteOffset: sector &* UInt64(Self.sectorBytes),
      byteCount: UInt64(stepBytes))
  }

  mutating func advance() {
    let sectors = UInt32(stepBytes / Self.sectorBytes)
    sector &+= UInt64(sectors)
    remaining -= sectors
  }
}

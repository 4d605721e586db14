// SPDX-License-Identifier: Apache-2.0

/// Sizes of a disk and what follows from them: which entry of the block table belongs to what ([MS-VHDX] 2.5).
struct VHDXGeometry: Equatable, Sendable {
  var virtualByteCount: UInt64
  let blockByteCount: UInt64
  let logicalSectorByteCount: UInt64
  let physicalSectorByteCount: UInt64
  let hasParent: Bool
  /// "Leave blocks allocated": a fixed disk.
  let isFixed: Bool

  /// Payload blocks for each sector bitmap block; 16 … 32768.
  var chunkRatio: UInt64 { VHDXFormat.sectorsPerChunk * logicalSectorByteCount / blockByteCount }

  /// The last block may reach past the end of the disk.
  var blockCount: UInt64 { (virtualByteCount + blockByteCount - 1) / blockByteCount }
  var chunkCount: UInt64 { (blockCount + chunkRatio - 1) / chunkRatio }

  /// Entries in use. Without a parent the table ends with its last payload entry.
  var entryCount: UInt64 {
    guard blockCount > 0 else { return 0 }
    return hasParent ? chunkCount * (chunkRatio + 1) : blockCount + (blockCount - 1) / chunkRatio
  }

  var tableByteCount: UInt64 { entryCount * 8 }

  func entryIndex(ofBlock block: UInt64) -> UInt64 { block + block / chunkRatio }
  func entryIndex(ofChunk chunk: UInt64) -> UInt64 { chunk * (chunkRatio + 1) + chunkRatio }

  /// Nil for a sector bitmap's entry.
  func block(ofEntry index: UInt64) -> UInt64? {
    let (chunk, place) = index.quotientAndRemainder(dividingBy: chunkRatio + 1)
    return place == chunkRatio ? nil : chunk * chunkRatio + place
  }

  /// Why these sizes cannot be, in words; nil when they can.
  var flaw: String? {
    if !VHDXGeometry.blockSizes.contains(blockByteCount) {
      return "a block size of \(blockByteCount) bytes is not a power of two from 1 MiB to 256 MiB"
    }
    if logicalSectorByteCount != 512, logicalSectorByteCount != 4096 {
      return "a logical sector of \(logicalSectorByteCount) bytes is neither 512 nor 4096"
    }
    if physicalSectorByteCount != 512, physicalSectorByteCount != 4096 {
      return "a physical sector of \(physicalSectorByteCount) bytes is neither 512 nor 4096"
    }
    if virtualByteCount == 0 { return "a disk of 0 bytes" }
    if virtualByteCount > VHDXFormat.maximumVirtualByteCount {
      return "a disk of \(virtualByteCount) bytes is larger than 64 TiB"
    }
    if virtualByteCount % logicalSectorByteCount != 0 {
      return "a disk of \(virtualByteCount) bytes does not end with a sector of \(logicalSectorByteCount)"
    }
    if hasParent, isFixed { return "a fixed disk with a parent" }
    return nil
  }

  private static let blockSizes = Set((20...28).map { UInt64(1) << $0 })
}

// SPDX-License-Identifier: Apache-2.0

import VMBus

/// Numbers and names of the format, as [MS-VHDX] (Virtual Hard Disk v2 File Format) section 2 gives them.
enum VHDXFormat {
  static let kibibyte: UInt64 = 1 << 10
  static let mebibyte: UInt64 = 1 << 20
  static let tebibyte: UInt64 = 1 << 40

  /// The unit of the log and of every change to metadata.
  static let pageByteCount: UInt64 = 4096

  // 2.2: the header section, the first MiB.
  static let headerSectionByteCount = mebibyte
  static let headerOffsets: [UInt64] = [64 << 10, 128 << 10]
  static let headerByteCount = 4096
  static let regionTableOffsets: [UInt64] = [192 << 10, 256 << 10]
  static let tableByteCount = 64 << 10
  static let version: UInt16 = 1
  static let logVersion: UInt16 = 0

  // Signatures, little-endian.
  static let fileSignature: UInt64 = 0x656C_6966_7864_6876  // "vhdxfile"
  static let headerSignature: UInt32 = 0x6461_6568  // "head"
  static let regionTableSignature: UInt32 = 0x6967_6572  // "regi"
  static let metadataTableSignature: UInt64 = 0x6174_6164_6174_656D  // "metadata"
  static let logEntrySignature: UInt32 = 0x6567_6F6C  // "loge"
  static let dataDescriptorSignature: UInt32 = 0x6373_6564  // "desc"
  static let zeroDescriptorSignature: UInt32 = 0x6F72_657A  // "zero"
  static let dataSectorSignature: UInt32 = 0x6174_6164  // "data"

  // 2.2.3.2: regions.
  static let blockTableRegion = GUID(0x2DC2_7766, 0xF623, 0x4200, 0x9D64, 0x115E_9BFD_4A08)
  static let metadataRegion = GUID(0x8B7C_A206, 0x4790, 0x4B9A, 0xB8FE, 0x575F_050F_886E)

  // 2.6.2: metadata items.
  static let fileParametersItem = GUID(0xCAA1_6737, 0xFA36, 0x4D43, 0xB3B6, 0x33F0_AA44_E76B)
  static let virtualDiskSizeItem = GUID(0x2FA5_4224, 0xCD1B, 0x4876, 0xB211, 0x5DBE_D83B_F4B8)
  static let virtualDiskIdentifierItem = GUID(0xBECA_12AB, 0xB2E6, 0x4523, 0x93EF, 0xC309_E000_C746)
  static let logicalSectorSizeItem = GUID(0x8141_BF1D, 0xA96F, 0x4709, 0xBA47, 0xF233_A8FA_AB5F)
  static let physicalSectorSizeItem = GUID(0xCDA3_48C7, 0x445D, 0x4471, 0x9CC9, 0xE988_5251_C556)
  static let parentLocatorItem = GUID(0xA8D3_5F2D, 0xB30B, 0x454D, 0xABF7, 0xD3D8_4834_AB0C)
  /// 2.6.2.6.1: the only type of parent locator there is.
  static let parentLocatorType = GUID(0xB04A_EFB7, 0xD19E, 0x4A81, 0xB789, 0x25B8_E944_5913)

  static let minimumBlockByteCount = mebibyte
  static let maximumBlockByteCount = 256 * mebibyte
  static let maximumVirtualByteCount = 64 * tebibyte
  /// One sector bitmap block: a bit for each of 2^23 sectors, a chunk.
  static let bitmapByteCount = mebibyte
  static let sectorsPerChunk: UInt64 = 1 << 23

  // Ours: the format names no limits for these, so a file that exceeds them is hostile or of no use.
  static let maximumLogByteCount: UInt64 = 1 << 30
  static let maximumMetadataRegionByteCount: UInt64 = 128 * mebibyte
  /// Bounds the map of used space: a full disk of the greatest size, its tables, and as much again.
  static let maximumFileByteCount: UInt64 = 128 * tebibyte
}

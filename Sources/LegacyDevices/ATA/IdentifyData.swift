// SPDX-License-Identifier: Apache-2.0

import VMBus
import VirtualDisks

/// The 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE, little-endian.
struct IdentifyData {
  private var words = [UInt16](repeating: 0, count: 256)

  subscript(_ word: Int) -> UInt16 {
    get { words[word] }
    set { words[word] = newValue }
  }

  /// A number in `count` words, the low one first.
  mutating func put(_ value: UInt64, at word: Int, count: Int) {
    for index in 0..<count { words[word + index] = UInt16(truncatingIfNeeded: value >> UInt64(index * 16)) }
  }

  /// Printable ASCII, padded with blanks, the first character of each pair in the upper half of its word.
  mutating func put(_ text: String, at word: Int, count: Int) {
    var bytes = text.utf8.map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: "?") }.prefix(count * 2)
    bytes += [UInt8](repeating: UInt8(ascii: " "), count: count * 2 - bytes.count)
    for index in 0..<count { words[word + index] = UInt16(bytes[index * 2]) << 8 | UInt16(bytes[index * 2 + 1]) }
  }

  /// Modes of multiword DMA 0–2 and Ultra DMA 0–5, the chosen one marked; as `transferMode` of SET FEATURES.
  mutating func putTransferModes(_ mode: UInt8) {
    words[62] = 0
    words[63] = 0x0007 | (mode & 0xF8 == 0x20 ? 0x0100 << UInt16(mode & 7) : 0)
    words[64] = 0x0003  // PIO 3 and 4
    for word in 65...68 { words[word] = 120 }  // nanoseconds a cycle
    words[88] = 0x003F | (mode & 0xF8 == 0x40 ? 0x0100 << UInt16(mode & 7) : 0)
  }

  /// With signature and check sum in word 255.
  func bytes() -> [UInt8] {
    var bytes = words.dropLast().flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    bytes.append(0xA5)
    bytes.append(0 &- bytes.reduce(0, &+))
    return bytes
  }
}

extension ATADisk {
  func identification() -> [UInt8] {
    var data = IdentifyData()
    let sectors = sectorCount
    let cylinders = min(sectors / (16 * 63), 16383)
    data[0] = 0x0040  // a fixed drive
    data[1] = UInt16(cylinders)
    data[3] = 16
    data[6] = 63
    data.put(characteristics.serialNumber, at: 10, count: 10)
    data.put("1.1", at: 23, count: 4)
    data.put("Virtual HD", at: 27, count: 20)
    data[47] = 0x8000 | UInt16(Self.maximumMultiple)
    data[48] = 0x0001  // 32-bit data port
    data[49] = 0x2F00  // standby timer, IORDY may be switched off, LBA, DMA
    data[50] = 0x4000
    data[53] = 0x0007
    let current = min(sectors / UInt64(heads * sectorsPerTrack), 65535)
    data[54] = UInt16(current)
    data[55] = UInt16(heads)
    data[56] = UInt16(sectorsPerTrack)
    data.put(min(current * UInt64(heads * sectorsPerTrack), Self.maximum28), at: 57, count: 2)
    data[59] = multiple > 0 ? 0x0100 | UInt16(multiple) : 0
    data.put(min(sectors, Self.maximum28), at: 60, count: 2)
    data.putTransferModes(transferMode)
    data[80] = 0x00F0  // ATA/ATAPI-4 to -7: in later ones word 48 means something else, and drivers ask for logs
    // Supported: look-ahead (82.6), write cache (82.5); flush ext (83.13), flush (83.12), 48 bits (83.10); WWN (84.8), FUA
    // (84.6). Enabled: the same, as set.
    let cache: UInt16 = characteristics.hasWriteCache ? 1 << 5 : 0
    data[82] = 1 << 6 | cache
    data[83] = 0x4000 | 1 << 13 | 1 << 12 | 1 << 10
    data[84] = 0x4000 | 1 << 8 | 1 << 6
    data[85] = (readLookAhead ? 1 << 6 : 0) | (writeCache ? cache : 0)
    data[86] = 1 << 13 | 1 << 12 | 1 << 10
    data[87] = 0x4000 | 1 << 8 | 1 << 6
    data[93] = 0x6001  // 80 wires
    data.put(sectors, at: 100, count: 4)
    let ratio = max(characteristics.physicalSectorSize / UInt32(SectorTransfer.sectorBytes), 1)
    data[106] = ratio > 1 ? 0x6000 | UInt16(ratio.trailingZeroBitCount) : 0x4000
    // A registered name (NAA 5) with Microsoft's number, the rest from the disk's identifier; the high word comes first.
    let name = 0x5_0015_5D << 36 | (characteristics.identifier.high ^ characteristics.identifier.low) & 0xF_FFFF_FFFF
    for index in 0..<4 { data[108 + index] = UInt16(truncatingIfNeeded: name >> UInt64((3 - index) * 16)) }
    if characteristics.discardGranularity != nil, !characteristics.isReadOnly {
      data[69] = characteristics.discardedReadsZero ? 0x4020 : 0
      data[105] = UInt16(Self.trimListBlocks)
      data[169] = 0x0001
    }
    data[217] = characteristics.isRotational ? 7200 : 1
    return data.bytes()
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

extension SCSIDisk {
  func inquiry(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    SCSIIdentity.inquiry(
      command, characteristics, pages: [0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2], into: &response
    ) { page, response in
      switch page {
      case 0xB0: blockLimits(into: &response)
      case 0xB1: blockCharacteristics(into: &response)
      default: logicalBlockProvisioning(into: &response)
      }
    }
  }

  /// SBC-3 6.5.3. Linux wants the page whole, 64 bytes.
  private func blockLimits(into response: inout SCSIResponse) {
    let discards = characteristics.discardGranularity != nil
    let granularity = (characteristics.discardGranularity ?? 0) >> UInt32(geometry.sectorShift)
    // WSNZ: WRITE SAME of 0 blocks is refused.
    response.append(bytes: [1, 0])
    // Optimal granularity: one physical sector; most and best in one command.
    response.append(UInt16(truncatingIfNeeded: characteristics.physicalSectorSize >> UInt32(geometry.sectorShift)))
    response.append(geometry.maximumSectors)
    response.append(geometry.maximumSectors)
    response.append(0 as UInt32)
    response.append(discards ? UInt32(maximumUnmapSectors) : 0)
    response.append(discards ? UInt32(Self.maximumUnmapDescriptors) : 0)
    response.append(max(granularity, discards ? 1 : 0))
    // UGAVALID, alignment 0.
    response.append(discards ? 0x8000_0000 as UInt32 : 0)
    response.append(geometry.isReadOnly ? 0 as UInt64 : Self.maximumWriteSameSectors)
    response.append(zeros: 20)
  }

  /// SBC-3 6.5.2: rotation rate 1 is a medium that does not rotate.
  private func blockCharacteristics(into response: inout SCSIResponse) {
    response.append(characteristics.isRotational ? 7200 : 1 as UInt16)
    response.append(zeros: 58)
  }

  /// SBC-3 6.5.4: UNMAP, WRITE SAME (16) and (10) unmap; what is unmapped reads as zeros; thin.
  private func logicalBlockProvisioning(into response: inout SCSIResponse) {
    let discards = characteristics.discardGranularity != nil
    let zeros: UInt8 = characteristics.discardedReadsZero ? 0x04 : 0
    response.append(bytes: [0, discards ? 0xE0 | zeros : 0, discards ? 2 : 1, 0])
  }

  func readCapacity10(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    // A block number makes sense only with PMI, which is long obsolete.
    guard command.block[8] & 1 != 0 || command.block.uint32(at: 2) == 0 else { return .invalidField }
    response.append(UInt32(clamping: lastSector))
    response.append(characteristics.logicalSectorSize)
    return response.sent(allocation: 8, command)
  }

  func readCapacity16(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    guard command.block[1] & 0x1F == 0x10 else { return .invalidField }
    let discards = characteristics.discardGranularity != nil
    let sectors = characteristics.physicalSectorSize >> UInt32(geometry.sectorShift)
    response.append(lastSector)
    response.append(characteristics.logicalSectorSize)
    response.append(bytes: [0, UInt8(truncatingIfNeeded: sectors.trailingZeroBitCount)])
    // LBPME and LBPRZ.
    response.append(bytes: [(discards ? 0x80 : 0) | (discards && characteristics.discardedReadsZero ? 0x40 : 0), 0])
    response.append(zeros: 16)
    return response.sent(allocation: Int(command.block.uint32(at: 10)), command)
  }

  /// A disk without sectors says 0, since there is no way to say none.
  private var lastSector: UInt64 { max(geometry.sectorCount, 1) - 1 }
}

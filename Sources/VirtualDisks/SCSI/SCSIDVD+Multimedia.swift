// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

// The multimedia commands. Byte layouts: MMC-6.

extension SCSIDVD {
  /// A disc that fits on a CD is one, anything larger a DVD: profile numbers.
  private static let profileCD: UInt16 = 0x08
  private static let profileDVD: UInt16 = 0x10
  private static let largestCD: UInt64 = 360_000

  private var currentProfile: UInt16 { !hasDisc ? 0 : sectorCount > Self.largestCD ? Self.profileDVD : Self.profileCD }

  // MARK: GET CONFIGURATION (5.5, features: 5.3)

  func getConfiguration(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    let kind = command.block[1] & 3
    let first = command.block.uint16(at: 2)
    guard kind != 3 else { return .invalidField }
    response.append(0 as UInt32)
    response.append(0 as UInt16)
    response.append(currentProfile)
    for (code, isCurrent, body) in features {
      // 0: all from the first on; 1: those of them that are current; 2: this one only.
      let wanted = kind == 2 ? code == first : code >= first && (kind == 0 || isCurrent)
      guard wanted else { continue }
      response.append(code)
      // Persistent features are always current.
      let isPersistent = code <= 0x0003 && code != 0x0002
      response.append(bytes: [(isPersistent ? 0x02 : 0) | (isCurrent ? 1 : 0), UInt8(body.count)] + body)
    }
    let count = UInt32(response.byteCount - 4)
    for index in 0..<4 { response[index] = UInt8(truncatingIfNeeded: count >> UInt32(24 - 8 * index)) }
    return response.sent(allocation: Int(command.block.uint16(at: 7)), command)
  }

  private var features: [(code: UInt16, isCurrent: Bool, body: [UInt8])] {
    let isCD = currentProfile == Self.profileCD
    let isDVD = currentProfile == Self.profileDVD
    return [
      // Profiles.
      (0x0000, true, [0, 0x10, isDVD ? 1 : 0, 0, 0, 0x08, isCD ? 1 : 0, 0]),
      // Core: a SCSI interface, DBE.
      (0x0001, true, [0, 0, 0, 1, 1, 0, 0, 0]),
      // Removable medium: tray, can eject, can be locked.
      (0x0003, true, [0x29, 0, 0, 0]),
      // Random reading in blocks of 2048, one at a time.
      (0x0010, hasDisc, [0, 0, 0x08, 0, 0, 1, 0, 0]),
      // CD reading, DVD reading.
      (0x001E, isCD, [0, 0, 0, 0]),
      (0x001F, isDVD, []),
    ]
  }

  // MARK: GET EVENT STATUS NOTIFICATION (6.6)

  /// Polled only; the media class only. What is said once is not said again.
  mutating func getEventStatus(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    guard command.block[1] & 1 != 0 else { return .invalidField }
    let allocation = Int(command.block.uint16(at: 7))
    guard command.block[4] & 0x10 != 0 else {
      response.append(bytes: [0, 2, 0x80, 0x10])
      return response.sent(allocation: allocation, command)
    }
    response.append(bytes: [0, 6, 4, 0x10, event.rawValue, (isTrayOpen ? 1 : 0) | (hasDisc ? 2 : 0), 0, 0])
    // An event that found no room is not lost.
    if allocation > 4, command.bufferByteCount > 4 { event = .none }
    return response.sent(allocation: allocation, command)
  }

  // MARK: READ TOC/PMA/ATIP (6.25)

  func readTableOfContents(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    let block = command.block
    let isTime = block[1] & 2 != 0
    // The format's place before MMC-2 was the control byte.
    let format = block[2] & 0x0F != 0 ? block[2] & 0x0F : block[9] >> 6
    let track = block[6]
    response.append(0 as UInt16)
    response.append(bytes: [1, 1])
    switch format {
    case 0:
      guard track <= 1 || track == 0xAA else { return .invalidField }
      if track <= 1 {
        response.append(bytes: [0, 0x14, 1, 0])
        response.append(address(0, isTime))
      }
      response.append(bytes: [0, 0x14, 0xAA, 0])
      response.append(address(sectorCount, isTime))
    case 1:
      response.append(bytes: [0, 0x14, 1, 0])
      response.append(address(0, isTime))
    case 2:
      guard track <= 1 else { return .invalidField }
      // Points A0 and A1: first and last track; A2: lead-out; then the track itself.
      for (point, minutes) in [(0xA0, 1), (0xA1, 1)] as [(UInt8, UInt8)] {
        response.append(bytes: [1, 0x14, 0, point, 0, 0, 0, 0, minutes, 0, 0])
      }
      response.append(bytes: [1, 0x14, 0, 0xA2, 0, 0, 0])
      response.append(address(sectorCount, true))
      response.append(bytes: [1, 0x14, 0, 1, 0, 0, 0])
      response.append(address(0, true))
    default: return .invalidField
    }
    response.setLength16(at: 0)
    return response.sent(allocation: Int(block.uint16(at: 7)), command)
  }

  /// A block number, or as 0, minutes, seconds, frames of 1/75 s from 2 s before block 0.
  private func address(_ sector: UInt64, _ isTime: Bool) -> UInt32 {
    guard isTime else { return UInt32(clamping: sector) }
    let frames = min(sector, 255 * 60 * 75 - 151) + 150
    return UInt32(frames / 4500) << 16 | UInt32(frames / 75 % 60) << 8 | UInt32(frames % 75)
  }

  // MARK: READ DISC INFORMATION (6.21), READ TRACK INFORMATION (6.26)

  /// One finished session with one track, not erasable.
  func readDiscInformation(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    // Standard information only.
    guard command.block[1] & 7 == 0 else { return .invalidField }
    response.append(bytes: [0, 32, 0x0E, 1, 1, 1, 1, 0x20])
    response.append(zeros: 26)
    return response.sent(allocation: Int(command.block.uint16(at: 7)), command)
  }

  func readTrackInformation(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    let number = command.block.uint32(at: 2)
    switch command.block[1] & 3 {
    case 0: guard UInt64(number) < sectorCount else { return .invalidField }
    case 1, 2: guard number == 1 else { return .invalidField }
    default: return .invalidField
    }
    // A data track, written whole; LRA_V.
    response.append(bytes: [0, 34, 1, 1, 0, 4, 1, 2])
    response.append(zeros: 16)
    response.append(UInt32(clamping: sectorCount))
    response.append(UInt32(clamping: sectorCount - 1))
    response.append(zeros: 4)
    return response.sent(allocation: Int(command.block.uint16(at: 7)), command)
  }

  // MARK: READ CD (6.15), READ DISC STRUCTURE (6.22)

  /// User data of data sectors, which is all that an image has: nothing of sync, headers, error correction, sub-channels.
  func readCD(_ command: SCSICommand) -> SCSIStep {
    let block = command.block
    guard currentProfile == Self.profileCD else { return .check(.illegalRequest, .incompatibleMedium) }
    // Any kind of sector, or mode 1.
    let kind = block[1] >> 2 & 7
    guard kind == 0 || kind == 2 else { return .check(.illegalRequest, .illegalModeForTrack) }
    guard block[9] & ~0x10 == 0, block[10] & 7 == 0 else { return .invalidField }
    let (first, count) = (UInt64(block.uint32(at: 2)), block.uint24(at: 6))
    // Nothing of the sectors is wanted.
    guard block[9] != 0 else {
      return contains(first, UInt64(count))
        ? .good : .check(.illegalRequest, .blockOutOfRange, information: first)
    }
    return read(command, first, count)
  }

  /// Linux's DVD_READ_STRUCT: physical format and copyright; and FFh, which there are.
  func readDVDStructure(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    let block = command.block
    // Of DVDs (media type 0), in the only layer.
    guard block[1] & 0x0F == 0, block[6] == 0 else { return .invalidField }
    let format = block[7]
    guard currentProfile == Self.profileDVD || format == 0xFF else {
      return .check(.illegalRequest, .incompatibleMedium)
    }
    response.append(zeros: 4)
    switch format {
    case 0x00: appendPhysicalFormat(into: &response)
    // No protection, no regions.
    case 0x01: response.append(zeros: 4)
    case 0xFF:
      // Each can be read, and is as long as it is with its header.
      for (code, count) in [(0x00, 2052), (0x01, 8)] as [(UInt8, UInt16)] {
        response.append(bytes: [code, 0x40])
        response.append(count)
      }
    default: return .invalidField
    }
    response.setLength16(at: 0)
    return response.sent(allocation: Int(block.uint16(at: 8)), command)
  }

  /// A DVD-ROM's layer descriptor: 17 bytes, and up to 2048 what the manufacturer had to say.
  private func appendPhysicalFormat(into response: inout SCSIResponse) {
    // DVD-ROM of version 1; 120 mm, any rate; one embossed layer; usual densities.
    response.append(bytes: [0x01, 0x0F, 0x01, 0x00])
    // The data begin behind the lead-in. An image may be longer than physical sector numbers reach.
    let first: UInt64 = 0x3_0000
    response.append(UInt32(first))
    response.append(UInt32(min(first + sectorCount - 1, 0xFF_FFFF)))
    // No other layer.
    response.append(0 as UInt32)
    response.append(zeros: 2048 - 16)
  }

  // MARK: MODE SENSE

  /// Error recovery (01h) and capabilities (2Ah), which Linux's sr looks for.
  func modeSense(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    let block = command.block
    let long = block.operation == .modeSense10
    let wanted = block[2] & 0x3F
    if block[2] >> 6 == 3 { return .check(.illegalRequest, .savingNotSupported) }
    guard wanted == 0x01 || wanted == 0x2A || wanted == 0x3F,
      block[3] == 0 || block[3] == 0xFF && wanted == 0x3F
    else { return .invalidField }
    // Without block descriptors: 8 bytes of header, or 4.
    response.append(zeros: long ? 8 : 4)
    let changeable = block[2] >> 6 == 1
    if wanted != 0x2A {
      response.append(bytes: [0x01, 10])
      response.append(zeros: 10)
    }
    if wanted != 0x01 {
      response.append(bytes: [0x2A, 20])
      if changeable {
        response.append(zeros: 20)
      } else {
        // Reads CD-R, CD-RW and DVD-ROM; writes nothing; a tray that ejects and locks; 8× DVD speed in kB/s.
        response.append(bytes: [0x0B, 0, 0x70, 0x60, isLocked ? 0x2B : 0x29, 0])
        response.append(11080 as UInt16)
        response.append(bytes: [0, 2, 0, 128])
        response.append(11080 as UInt16)
        response.append(zeros: 6)
      }
    }
    if long { response.setLength16(at: 0) } else { response[0] = UInt8(response.byteCount - 1) }
    return response.sent(allocation: long ? Int(block.uint16(at: 7)) : Int(block[4]), command)
  }
}

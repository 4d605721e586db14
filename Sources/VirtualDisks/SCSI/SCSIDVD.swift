// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// A DVD drive, with or without a disc: a value like `SCSIDisk`. The same model serves the SCSI controller and, as the
/// packet commands are the same, ATAPI.
///
/// Commands: SPC-4, MMC-6, those that Linux's sr and cdrom, udev and a mount use, for read-only discs of one track.
public struct SCSIDVD: Sendable {
  /// `byteCount` 0: there is no disc.
  public private(set) var characteristics: DriveCharacteristics
  public let maximumTransferBytes: UInt32
  /// The guest has locked the door, as it does for a mounted disc.
  public private(set) var isLocked = false
  private(set) var isTrayOpen = false
  var attentions = SCSIAttentions()
  /// What GET EVENT STATUS NOTIFICATION says next.
  var event = MediaEvent.none

  enum MediaEvent: UInt8, Sendable {
    case none = 0
    case ejectRequest = 1
    case newMedium = 2
    case removal = 3
  }

  public init(_ characteristics: DriveCharacteristics, maximumTransferBytes: UInt32 = 1 << 20) {
    self.characteristics = characteristics
    self.maximumTransferBytes = maximumTransferBytes
  }

  public var hasDisc: Bool { characteristics.byteCount > 0 }
  var sectorCount: UInt64 { characteristics.sectorCount }

  // MARK: From the host

  /// Puts a disc in, in place of the one that may be there.
  public mutating func insert(byteCount: UInt64) {
    characteristics.byteCount = byteCount & ~2047
    isTrayOpen = false
    event = .newMedium
    attentions.raise(.mediumMayHaveChanged)
  }

  /// Takes the disc out by force, locked or not. Let go of its image when nothing of it is in use.
  public mutating func removeDisc() {
    guard hasDisc else { return }
    characteristics.byteCount = 0
    isLocked = false
    isTrayOpen = true
    event = .removal
    attentions.remove(.mediumMayHaveChanged)
  }

  /// Presses the button. False: the guest has locked the door, and is asked to put the disc out; if it does, a command
  /// ends as `.ejected`.
  public mutating func requestEject() -> Bool {
    guard hasDisc else { return true }
    if isLocked {
      event = .ejectRequest
      return false
    }
    removeDisc()
    return true
  }

  /// Quirk `removable-attention`: Linux takes any attention of a removable device for another medium and fails the
  /// command at hand, so a mounted disc hears of nothing but that. A reset it expects.
  public mutating func raise(_ attention: AdditionalSense) {
    if attention == .mediumMayHaveChanged { attentions.raise(attention) }
  }

  public mutating func reset() {
    attentions.reset()
    isLocked = false
  }

  /// Another kernel has the guest now: as `SCSIDisk.restart`. The door that the one before had locked is open again.
  public mutating func restart() {
    attentions.removeAll()
    isLocked = false
    event = .none
  }

  // MARK: From the guest

  public mutating func begin(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    response.clear()
    let block = command.block
    if !attentions.isEmpty, SCSIAttentions.interrupts(block.operation), let attention = attentions.take() {
      return .check(.unitAttention, attention)
    }
    // What is answered without a disc.
    switch block.operation {
    case .inquiry:
      return SCSIIdentity.inquiry(
        command, characteristics, pages: [0x00, 0x80, 0x83], into: &response
      ) { _, _ in }
    case .reportUnits: return SCSIIdentity.reportUnits(command, command.units, into: &response)
    case .requestSense: return requestSense(command, into: &response)
    case .modeSense6, .modeSense10: return modeSense(command, into: &response)
    case .getConfiguration: return getConfiguration(command, into: &response)
    case .getEventStatus: return getEventStatus(command, into: &response)
    case .startStopUnit: return startStop(command)
    case .preventAllowRemoval:
      isLocked = block[4] & 1 != 0
      return .good
    default: break
    }
    switch block.operation {
    case .testUnitReady, .read10, .read12, .read16, .verify10, .readCapacity10, .serviceActionIn16,
      .readTableOfContents, .readCD, .readDVDStructure, .readDiscInformation, .readTrackInformation,
      .synchronizeCache10:
      guard hasDisc else { return .check(.notReady, whyNotReady) }
    case .write10, .write12, .write16: return .check(.dataProtect, .writeProtected)
    default: return .invalidOperation
    }
    switch block.operation {
    case .read10: return read(command, UInt64(block.uint32(at: 2)), UInt32(block.uint16(at: 7)))
    case .read12: return read(command, UInt64(block.uint32(at: 2)), block.uint32(at: 6))
    case .read16: return read(command, block.uint64(at: 2), block.uint32(at: 10))
    case .verify10: return verify(command)
    case .readCapacity10:
      response.append(UInt32(clamping: sectorCount - 1))
      response.append(characteristics.logicalSectorSize)
      return response.sent(allocation: 8, command)
    case .serviceActionIn16: return readCapacity16(command, into: &response)
    case .readTableOfContents: return readTableOfContents(command, into: &response)
    case .readCD: return readCD(command)
    case .readDVDStructure: return readDVDStructure(command, into: &response)
    case .readDiscInformation: return readDiscInformation(command, into: &response)
    case .readTrackInformation: return readTrackInformation(command, into: &response)
    // A disc that cannot be written has nothing to synchronize; otherwise TEST UNIT READY.
    default: return .good
    }
  }

  private var whyNotReady: AdditionalSense { isTrayOpen ? .mediumNotPresentTrayOpen : .mediumNotPresent }

  private mutating func requestSense(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    let sense: SenseData
    if let attention = attentions.take() {
      sense = SenseData(.unitAttention, attention)
    } else if !hasDisc {
      sense = SenseData(.notReady, whyNotReady)
    } else {
      sense = SenseData(.noSense, .none)
    }
    return SCSIIdentity.requestSense(command, sense, into: &response)
  }

  /// LOEJ with START 0 opens the tray, with START 1 closes it.
  private mutating func startStop(_ command: SCSICommand) -> SCSIStep {
    let flags = command.block[4]
    guard flags >> 4 == 0, flags & 2 != 0 else { return .good }
    if flags & 1 != 0 {
      isTrayOpen = false
      return .good
    }
    if isLocked { return .check(.illegalRequest, .mediumRemovalPrevented) }
    let hadDisc = hasDisc
    removeDisc()
    isTrayOpen = true
    return hadDisc ? .ejected(.good()) : .good
  }

  func contains(_ block: UInt64, _ count: UInt64) -> Bool {
    block <= sectorCount && count <= sectorCount - block
  }

  func read(_ command: SCSICommand, _ block: UInt64, _ count: UInt32) -> SCSIStep {
    guard contains(block, UInt64(count)) else {
      return .check(.illegalRequest, .blockOutOfRange, information: block)
    }
    guard count <= maximumTransferBytes / 2048 else { return .invalidField }
    if count == 0 { return .good }
    guard count * 2048 <= command.bufferByteCount else { return .complete(.invalid) }
    return .transfer(
      DriveRequest(.read, byteOffset: block * 2048, byteCount: UInt64(count) * 2048),
      SCSITask(byteCount: count * 2048, sectorShift: 11, byteOffset: block * 2048))
  }

  private func verify(_ command: SCSICommand) -> SCSIStep {
    let block = UInt64(command.block.uint32(at: 2))
    let count = UInt64(command.block.uint16(at: 7))
    guard command.block[1] & 0x06 == 0 else { return .invalidField }
    guard contains(block, count) else {
      return .check(.illegalRequest, .blockOutOfRange, information: block)
    }
    if count == 0 { return .good }
    return .transfer(
      DriveRequest(.verify, byteOffset: block * 2048, byteCount: count * 2048),
      SCSITask(sectorShift: 11, byteOffset: block * 2048))
  }

  private func readCapacity16(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    guard command.block[1] & 0x1F == 0x10 else { return .invalidField }
    response.append(sectorCount - 1)
    response.append(characteristics.logicalSectorSize)
    response.append(zeros: 20)
    return response.sent(allocation: Int(command.block.uint32(at: 10)), command)
  }
}

// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// A disk that speaks SCSI: a value that turns commands into drive requests and answers. No I/O, no clock, no lock.
///
/// `begin`, `resume` and the host's side of it change the value: its owner keeps it under a lock of the unit's own, which a
/// read or a write holds for a few dozen instructions. Ending a transfer is `SCSITask.finish` and needs no lock.
///
/// Commands: SPC-4, SBC-3. What the list below does not have ends with ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE:
/// reservations, ATA pass-through and every vendor's own among it.
public struct SCSIDisk: Sendable {
  public private(set) var characteristics: DriveCharacteristics
  public let maximumTransferBytes: UInt32
  /// WCE of the caching page: the guest can turn a write cache off, then each write is forced through.
  private(set) var writeCacheEnabled: Bool
  /// D_SENSE of the control page.
  private(set) var senseFormat = SenseData.Format.fixed
  var attentions = SCSIAttentions()
  /// From the characteristics, for the way of every read and write.
  private(set) var geometry: Geometry

  struct Geometry: Sendable {
    var sectorShift: UInt8
    var sectorCount: UInt64
    var maximumSectors: UInt32
    var isReadOnly: Bool
  }

  public init(_ characteristics: DriveCharacteristics, maximumTransferBytes: UInt32 = 1 << 20) {
    self.characteristics = characteristics
    self.maximumTransferBytes = maximumTransferBytes
    writeCacheEnabled = characteristics.hasWriteCache
    geometry = Self.geometry(characteristics, maximumTransferBytes)
  }

  private static func geometry(_ drive: DriveCharacteristics, _ maximum: UInt32) -> Geometry {
    Geometry(
      sectorShift: UInt8(drive.logicalSectorSize.trailingZeroBitCount), sectorCount: drive.sectorCount,
      maximumSectors: maximum / drive.logicalSectorSize, isReadOnly: drive.isReadOnly)
  }

  // MARK: From the host

  /// The drive is another one now: larger, smaller, read-only. The guest hears of it with its next command; an idle guest
  /// needs to be told that there is something to hear.
  public mutating func update(_ characteristics: DriveCharacteristics) {
    guard characteristics != self.characteristics else { return }
    attentions.raise(
      characteristics.byteCount != self.characteristics.byteCount ? .capacityChanged : .operatingConditionsChanged)
    if characteristics.hasWriteCache != self.characteristics.hasWriteCache {
      writeCacheEnabled = characteristics.hasWriteCache
    }
    self.characteristics = characteristics
    geometry = Self.geometry(characteristics, maximumTransferBytes)
  }

  public mutating func raise(_ attention: AdditionalSense) { attentions.raise(attention) }

  /// The bus or the unit was reset: what the guest had set is as at the start.
  public mutating func reset() {
    attentions.reset()
    writeCacheEnabled = characteristics.hasWriteCache
    senseFormat = .fixed
  }

  /// Another kernel has the guest now. It knows nothing yet, so there is nothing to tell it, and what the one before had
  /// set is gone with it.
  public mutating func restart() {
    attentions.removeAll()
    writeCacheEnabled = characteristics.hasWriteCache
    senseFormat = .fixed
  }

  // MARK: From the guest

  public mutating func begin(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    execute(command, into: &response).saying(in: senseFormat)
  }

  private mutating func execute(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    response.clear()
    let block = command.block
    if !attentions.isEmpty, SCSIAttentions.interrupts(block.operation), let attention = attentions.take() {
      return .check(.unitAttention, attention)
    }
    // The most frequent first.
    switch block.operation {
    case .read10: return read(command, block.uint32(at: 2), UInt32(block.uint16(at: 7)))
    case .write10: return write(command, block.uint32(at: 2), UInt32(block.uint16(at: 7)))
    case .read16: return read(command, block.uint64(at: 2), block.uint32(at: 10))
    case .write16: return write(command, block.uint64(at: 2), block.uint32(at: 10))
    case .read12: return read(command, block.uint32(at: 2), block.uint32(at: 6))
    case .write12: return write(command, block.uint32(at: 2), block.uint32(at: 6))
    case .read6, .write6: return transfer6(command)
    case .synchronizeCache10:
      return synchronizeCache(UInt64(block.uint32(at: 2)), UInt64(block.uint16(at: 7)))
    case .synchronizeCache16: return synchronizeCache(block.uint64(at: 2), UInt64(block.uint32(at: 10)))
    case .unmap: return unmap(command)
    case .writeSame10: return writeSame(command, UInt64(block.uint32(at: 2)), UInt64(block.uint16(at: 7)))
    case .writeSame16: return writeSame(command, block.uint64(at: 2), UInt64(block.uint32(at: 10)))
    case .verify10: return verify(command, UInt64(block.uint32(at: 2)), UInt32(block.uint16(at: 7)))
    case .verify12: return verify(command, UInt64(block.uint32(at: 2)), block.uint32(at: 6))
    case .verify16: return verify(command, block.uint64(at: 2), block.uint32(at: 10))
    case .testUnitReady: return .good
    case .inquiry: return inquiry(command, into: &response)
    case .readCapacity10: return readCapacity10(command, into: &response)
    case .serviceActionIn16: return readCapacity16(command, into: &response)
    case .modeSense6, .modeSense10: return modeSense(command, into: &response)
    case .modeSelect6, .modeSelect10: return modeSelect(command)
    case .reportUnits: return SCSIIdentity.reportUnits(command, command.units, into: &response)
    case .maintenanceIn:
      return SCSISupportedOperations.report(
        command, unmaps: characteristics.discardGranularity != nil, into: &response)
    case .requestSense:
      let attention = attentions.take()
      let sense = attention.map { SenseData(.unitAttention, $0) } ?? SenseData(.noSense, .none)
      return SCSIIdentity.requestSense(command, sense, into: &response)
    case .startStopUnit: return startStop(command)
    // Nothing of it can be removed; Linux asks only removable devices.
    case .preventAllowRemoval: return .good
    default: return .invalidOperation
    }
  }

  /// Goes on with a command whose parameters were fetched. `data` is a private copy.
  public mutating func resume(_ task: SCSITask, data: RawSpan) -> SCSIStep {
    let format = task.senseFormat
    let step =
      switch task.kind {
      case .single: SCSIStep.check(.hardwareError, .internalFailure)
      case .unmap(let count): unmap(count, data)
      case .modeSelect(let long, let count): modeSelect(long: long, count, data)
      }
    return step.saying(in: format)
  }

  mutating func set(writeCache: Bool, senseFormat: SenseData.Format) {
    writeCacheEnabled = writeCache
    self.senseFormat = senseFormat
  }
}

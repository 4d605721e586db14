// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

extension IDEChannel {
  /// A request of this channel ended. One that nobody waits for any more is ignored.
  mutating func complete(
    _ number: UInt64, unit: Int, _ outcome: IDEOutcome, busMasterEnabled: Bool, _ effects: inout [IDEEffect]
  ) {
    guard units[unit].phase == .busy(number) else { return }
    if units[unit].resetPending {
      finishReset(unit)
      return
    }
    switch outcome {
    case .table(let fault): abandon(unit, fault)
    case .failed(let failure, let at): fail(failure, at: at, unit)
    case .done(let bytes, let tableHasMore): goOn(bytes, tableHasMore: tableHasMore, unit, &effects)
    }
    startBusMaster(enabled: busMasterEnabled, &effects)
    updateLine(&effects)
  }

  private mutating func goOn(_ bytes: [UInt8], tableHasMore: Bool, _ unit: Int, _ effects: inout [IDEEffect]) {
    switch units[unit].job {
    case .transfer(var transfer):
      if transfer.isDMA {
        master.finish(tableHasMore: tableHasMore)
        units[unit].end()
      } else if transfer.isWrite {
        transfer.advance()
        if transfer.remaining > 0 {
          step(transfer, unit, isFirst: false, &effects)
        } else {
          units[unit].end()
        }
      } else if bytes.count == transfer.stepBytes {
        units[unit].offer(bytes)
      } else {
        fail(.broken, at: nil, unit)
      }
    case .trimList:
      master.finish(tableHasMore: tableHasMore)
      guard case .disk(let disk) = units[unit].drive, let requests = disk.discards(bytes) else {
        return units[unit].end(status: ATAStatus.error, error: ATAError.idNotFound)
      }
      trim(requests[...], unit, &effects)
    case .trim(let rest): trim(rest[...], unit, &effects)
    case .packet(let transfer): packetWorkEnded(transfer, bytes, tableHasMore: tableHasMore, unit, &effects)
    default: units[unit].end()
    }
  }

  private mutating func trim(_ requests: ArraySlice<DriveRequest>, _ unit: Int, _ effects: inout [IDEEffect]) {
    guard let first = requests.first else { return units[unit].end() }
    units[unit].job = .trim(Array(requests.dropFirst()))
    start(.drive(first), unit, &effects)
  }

  /// What the registers say of a failed request.
  private mutating func fail(_ failure: DriveFailure, at byte: UInt64?, _ unit: Int) {
    if case .packet(let transfer) = units[unit].job { return packetFailed(transfer, failure, unit) }
    if case .transfer(let transfer) = units[unit].job {
      let failed = byte.map { $0 / UInt64(SectorTransfer.sectorBytes) } ?? transfer.sector
      if transfer.isExtended {
        units[unit].file.setSector48(failed)
      } else if units[unit].file.usesLBA {
        units[unit].file.setSector28(failed)
      }
      if transfer.isDMA { master.finish(tableHasMore: true) }
    }
    switch failure {
    case .outOfRange: units[unit].end(status: ATAStatus.error, error: ATAError.idNotFound)
    case .readFailed: units[unit].end(status: ATAStatus.error, error: ATAError.uncorrectable)
    // A write that fails is a fault of the drive: no sector is to blame, and none was replaced.
    case .writeFailed, .noSpace, .broken:
      units[unit].end(status: ATAStatus.error | ATAStatus.fault, error: ATAError.aborted)
    case .readOnly, .mediumAbsent, .miscompare, .cancelled, .badBuffer:
      units[unit].end(status: ATAStatus.error, error: ATAError.aborted)
    }
  }
}

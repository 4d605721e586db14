// SPDX-License-Identifier: Apache-2.0

import VirtualDisks

/// A hard disk's settings, and what it makes of each command (ATA/ATAPI-7, and TRIM of ACS-2). Its sectors have 512 bytes.
struct ATADisk: Equatable, Sendable {
  /// Sectors between two interrupts of READ and WRITE MULTIPLE, at most.
  static let maximumMultiple: UInt8 = 16
  /// Blocks of 512 bytes that the list of one TRIM may have.
  static let trimListBlocks: UInt32 = 8
  /// What a drive with 28 bits of address can say of its size.
  static let maximum28: UInt64 = 0x0FFF_FFFF

  var characteristics: DriveCharacteristics
  private(set) var multiple = maximumMultiple
  private(set) var writeCache: Bool
  private(set) var readLookAhead = true
  /// As SET FEATURES names it.
  private(set) var transferMode: UInt8 = 0x42
  private(set) var heads: UInt32 = 16
  private(set) var sectorsPerTrack: UInt32 = 63

  init(_ characteristics: DriveCharacteristics) {
    self.characteristics = characteristics
    writeCache = characteristics.hasWriteCache
  }

  var sectorCount: UInt64 { characteristics.byteCount / UInt64(SectorTransfer.sectorBytes) }

  mutating func plan(_ command: ATACommand, _ file: inout TaskFile) -> ATAPlan {
    switch command {
    case .readSectors, .readSectorsNoRetry: transfer(&file, extended: false, block: 1)
    case .readSectorsExt: transfer(&file, extended: true, block: 1)
    case .readMultiple: transferMultiple(&file, extended: false)
    case .readMultipleExt: transferMultiple(&file, extended: true)
    case .readDMA, .readDMANoRetry: transfer(&file, extended: false, dma: true)
    case .readDMAExt: transfer(&file, extended: true, dma: true)
    case .writeSectors, .writeSectorsNoRetry: transfer(&file, write: true, extended: false, block: 1)
    case .writeSectorsExt: transfer(&file, write: true, extended: true, block: 1)
    case .writeMultiple: transferMultiple(&file, write: true, extended: false)
    case .writeMultipleExt: transferMultiple(&file, write: true, extended: true)
    case .writeMultipleFUAExt: transferMultiple(&file, write: true, extended: true, forceUnitAccess: true)
    case .writeDMA, .writeDMANoRetry: transfer(&file, write: true, extended: false, dma: true)
    case .writeDMAExt: transfer(&file, write: true, extended: true, dma: true)
    case .writeDMAFUAExt: transfer(&file, write: true, extended: true, dma: true, forceUnitAccess: true)
    case .readVerify, .readVerifyNoRetry: verify(file, extended: false)
    case .readVerifyExt: verify(file, extended: true)
    case .flushCache, .flushCacheExt: .drive(DriveRequest(.flush))
    case .dataSetManagement: trim(file)
    case .identifyDevice: .reply(identification())
    case .setFeatures: setFeatures(file)
    case .setMultiple: setMultiple(UInt8(truncatingIfNeeded: file.count))
    case .initializeDeviceParameters: setGeometry(file)
    case .readNativeMax: readNativeMax(&file)
    case .readNativeMaxExt: readNativeMaxExt(&file)
    case .seek:
      sector(file, extended: false).map { $0 < sectorCount ? .done : .fail(ATAError.idNotFound) }
        ?? .fail(ATAError.idNotFound)
    case .checkPowerMode, .checkPowerModeOld: reportActive(&file)
    case .standbyImmediate, .idleImmediate, .standby, .idle, .sleep, .standbyImmediateOld, .idleImmediateOld,
      .standbyOld, .idleOld, .sleepOld:
      .done
    case let command where command.rawValue & 0xF0 == ATACommand.recalibrate.rawValue: .done
    default: .fail(ATAError.aborted)
    }
  }

  // MARK: sectors

  /// The sector that the registers name, by number or by cylinder, head and sector; nil for sector 0 of a track.
  private func sector(_ file: TaskFile, extended: Bool) -> UInt64? {
    if extended { return file.sector48 }
    if file.usesLBA { return file.sector28 }
    let cylinder = UInt64(file.middle & 0xFF) | UInt64(file.high & 0xFF) << 8
    let head = UInt64(file.device & 0xF)
    let number = UInt64(file.low & 0xFF)
    guard number >= 1, number <= UInt64(sectorsPerTrack), head < UInt64(heads) else { return nil }
    return (cylinder * UInt64(heads) + head) * UInt64(sectorsPerTrack) + number - 1
  }

  private func range(_ file: TaskFile, extended: Bool) -> (sector: UInt64, count: UInt32)? {
    guard let sector = sector(file, extended: extended) else { return nil }
    let count = extended ? file.count48 : file.count28
    guard sector <= sectorCount, UInt64(count) <= sectorCount - sector else { return nil }
    return (sector, count)
  }

  private func transfer(
    _ file: inout TaskFile, write: Bool = false, extended: Bool, dma: Bool = false, block: UInt32 = 1,
    forceUnitAccess: Bool = false
  ) -> ATAPlan {
    guard !write || !characteristics.isReadOnly else { return .fail(ATAError.aborted) }
    guard let (sector, count) = range(file, extended: extended) else { return .fail(ATAError.idNotFound) }
    return .transfer(
      SectorTransfer(
        isWrite: write, isDMA: dma, forceUnitAccess: write && (forceUnitAccess || !writeCache), isExtended: extended,
        sector: sector, remaining: count, blockSectors: block))
  }

  private func transferMultiple(
    _ file: inout TaskFile, write: Bool = false, extended: Bool, forceUnitAccess: Bool = false
  ) -> ATAPlan {
    guard multiple > 0 else { return .fail(ATAError.aborted) }
    return transfer(
      &file, write: write, extended: extended, block: UInt32(multiple), forceUnitAccess: forceUnitAccess)
  }

  private func verify(_ file: TaskFile, extended: Bool) -> ATAPlan {
    guard let (sector, count) = range(file, extended: extended) else { return .fail(ATAError.idNotFound) }
    let size = UInt64(SectorTransfer.sectorBytes)
    return .drive(DriveRequest(.verify, byteOffset: sector * size, byteCount: UInt64(count) * size))
  }

  private func trim(_ file: TaskFile) -> ATAPlan {
    guard file.features & 0xFF == 1, characteristics.discardGranularity != nil, !characteristics.isReadOnly,
      file.count >= 1, UInt32(file.count) <= Self.trimListBlocks
    else { return .fail(ATAError.aborted) }
    return .trim(listBytes: Int(file.count) * SectorTransfer.sectorBytes)
  }

  /// The requests of a TRIM list, nil if a range of it lies outside the disk. Entries: u48 sector, u16 count, 0 for none.
  func discards(_ list: [UInt8]) -> [DriveRequest]? {
    var requests: [DriveRequest] = []
    let size = UInt64(SectorTransfer.sectorBytes)
    for start in stride(from: 0, to: list.count - list.count % 8, by: 8) {
      var entry: UInt64 = 0
      for (index, byte) in list[start..<start + 8].enumerated() { entry |= UInt64(byte) << UInt64(index * 8) }
      let sector = entry & 0xFFFF_FFFF_FFFF
      let count = entry >> 48
      guard count > 0 else { continue }
      guard sector <= sectorCount, count <= sectorCount - sector else { return nil }
      if let last = requests.last, last.byteOffset + last.byteCount == sector * size {
        requests[requests.count - 1].byteCount += count * size
      } else {
        requests.append(DriveRequest(.discard, byteOffset: sector * size, byteCount: count * size))
      }
    }
    return requests
  }

  // MARK: settings

  private mutating func setFeatures(_ file: TaskFile) -> ATAPlan {
    switch file.features & 0xFF {
    case 0x02 where characteristics.hasWriteCache: writeCache = true
    case 0x82:
      writeCache = false
      // What is in the cache has to be on the medium from here on.
      return .drive(DriveRequest(.flush))
    case 0x03:
      let mode = UInt8(file.count & 0xFF)
      switch mode {
      case 0x00, 0x01, 0x08...0x0C: break
      case 0x20...0x22, 0x40...0x45: transferMode = mode
      default: return .fail(ATAError.aborted)
      }
    case 0xAA: readLookAhead = true
    case 0x55: readLookAhead = false
    // Keep settings over a software reset, or go back to the defaults then: there is no difference here.
    case 0x66, 0xCC: break
    default: return .fail(ATAError.aborted)
    }
    return .done
  }

  private mutating func setMultiple(_ count: UInt8) -> ATAPlan {
    guard count <= Self.maximumMultiple, count == 0 || count.nonzeroBitCount == 1 else {
      return .fail(ATAError.aborted)
    }
    multiple = count
    return .done
  }

  private mutating func setGeometry(_ file: TaskFile) -> ATAPlan {
    let sectors = UInt32(file.count & 0xFF)
    guard sectors > 0 else { return .fail(ATAError.aborted) }
    sectorsPerTrack = sectors
    heads = UInt32(file.device & 0xF) + 1
    return .done
  }

  private func readNativeMax(_ file: inout TaskFile) -> ATAPlan {
    file.setSector28(min(sectorCount, Self.maximum28) &- 1)
    return .done
  }

  private func readNativeMaxExt(_ file: inout TaskFile) -> ATAPlan {
    file.setSector48(sectorCount &- 1)
    return .done
  }

  private func reportActive(_ file: inout TaskFile) -> ATAPlan {
    file.count = 0xFF
    return .done
  }
}

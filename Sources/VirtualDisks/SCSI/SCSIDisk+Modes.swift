// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

// Mode pages: error recovery (01h), caching (08h), control (0Ah). Of all that only WCE and D_SENSE can be changed.

extension SCSIDisk {
  private static let pages: [UInt8] = [0x01, 0x08, 0x0A]

  private enum Values: UInt8 {
    case current = 0
    /// The mask of what MODE SELECT can set.
    case changeable = 1
    case usual = 2
    case saved = 3
  }

  /// A page with its two bytes of header.
  private func page(_ code: UInt8, _ values: Values) -> [UInt8] {
    let changeable = values == .changeable
    var page: [UInt8]
    switch code {
    // Automatic reallocation of writes and reads.
    case 0x01: page = [0x01, 10, changeable ? 0 : 0xC0] + Array(repeating: 0, count: 9)
    case 0x08:
      page = [0x08, 18] + Array(repeating: 0, count: 18)
      page[2] = (values == .current ? writeCacheEnabled : characteristics.hasWriteCache) ? 0x04 : 0
    // D_SENSE; simple commands may be reordered.
    default:
      page = [0x0A, 10] + Array(repeating: 0, count: 10)
      page[2] = changeable || values == .current && senseFormat == .descriptors ? 0x04 : 0
      page[3] = changeable ? 0 : 0x10
    }
    return page
  }

  func modeSense(_ command: SCSICommand, into response: inout SCSIResponse) -> SCSIStep {
    let block = command.block
    let long = block.operation == .modeSense10
    let wanted = block[2] & 0x3F
    let subpage = block[3]
    let values = Values(rawValue: block[2] >> 6) ?? .current
    guard values != .saved else { return .check(.illegalRequest, .savingNotSupported) }
    guard wanted == 0x3F || Self.pages.contains(wanted), subpage == 0 || subpage == 0xFF && wanted == 0x3F else {
      return .invalidField
    }
    // Read-only, and that DPO and FUA are honoured.
    let parameter: UInt8 = (geometry.isReadOnly ? 0x80 : 0) | 0x10
    let longBlocks = long && block[1] & 0x10 != 0
    let hasDescriptor = block[1] & 0x08 == 0
    let descriptorSize = !hasDescriptor ? 0 : longBlocks ? 16 : 8
    if long {
      response.append(bytes: [0, 0, 0, parameter, longBlocks ? 1 : 0, 0])
      response.append(UInt16(descriptorSize))
    } else {
      response.append(bytes: [0, 0, parameter, UInt8(descriptorSize)])
    }
    if hasDescriptor, longBlocks {
      response.append(geometry.sectorCount)
      response.append(0 as UInt32)
      response.append(characteristics.logicalSectorSize)
    } else if hasDescriptor {
      response.append(UInt32(clamping: geometry.sectorCount))
      response.append(characteristics.logicalSectorSize)
    }
    for code in Self.pages where wanted == code || wanted == 0x3F {
      response.append(bytes: page(code, values))
    }
    if long { response.setLength16(at: 0) } else { response[0] = UInt8(response.byteCount - 1) }
    return response.sent(allocation: long ? Int(block.uint16(at: 7)) : Int(block[4]), command)
  }

  func modeSelect(_ command: SCSICommand) -> SCSIStep {
    let long = command.block.operation == .modeSelect10
    let count = long ? UInt32(command.block.uint16(at: 7)) : UInt32(command.block[4])
    // PF set: pages as the standard has them. SP: nothing can be saved.
    guard command.block[1] & 0x10 != 0, command.block[1] & 0x01 == 0 else { return .invalidField }
    if count == 0 { return .good }
    guard count <= 256 else { return .check(.illegalRequest, .parameterListLength) }
    guard count <= command.bufferByteCount else { return .complete(.invalid) }
    return .fetch(
      byteCount: Int(count),
      SCSITask(.modeSelect(long: long, listByteCount: count), sectorShift: geometry.sectorShift))
  }

  /// Everything is checked before anything is set.
  mutating func modeSelect(long: Bool, _ listByteCount: UInt32, _ list: RawSpan) -> SCSIStep {
    var enabled = writeCacheEnabled
    var format = senseFormat
    do throws(WireError) {
      let header = long ? 8 : 4
      let descriptors =
        long ? Int(try list.read(UInt16.self, at: 6).byteSwapped) : Int(try list.read(UInt8.self, at: 3))
      if !long { _ = try list.slice(at: 0, count: header) }
      var at = header + descriptors
      _ = try list.slice(at: 0, count: at)
      while at < list.byteCount {
        let code = try list.read(UInt8.self, at: at) & 0x7F
        guard Self.pages.contains(code) else { return .check(.illegalRequest, .invalidFieldInParameters) }
        let current = page(code, .current)
        let mask = page(code, .changeable)
        guard Int(try list.read(UInt8.self, at: at + 1)) == current.count - 2 else {
          return .check(.illegalRequest, .invalidFieldInParameters)
        }
        for index in 2..<current.count {
          let byte = try list.read(UInt8.self, at: at + index)
          guard (byte ^ current[index]) & ~mask[index] == 0 else {
            return .check(.illegalRequest, .invalidFieldInParameters)
          }
          guard index == 2 else { continue }
          if code == 0x08 { enabled = byte & 0x04 != 0 }
          if code == 0x0A { format = byte & 0x04 == 0 ? .fixed : .descriptors }
        }
        at += current.count
      }
    } catch {
      return .check(.illegalRequest, .parameterListLength)
    }
    let turnsOff = writeCacheEnabled && !enabled
    set(writeCache: enabled, senseFormat: format)
    // What the cache holds has to be on the medium when it is said to be off.
    if turnsOff {
      return .transfer(DriveRequest(.flush), SCSITask(byteCount: listByteCount, sectorShift: geometry.sectorShift))
    }
    return .complete(.good(byteCount: listByteCount))
  }
}

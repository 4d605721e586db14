// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols
import VMBus

/// Who a unit says that it is: INQUIRY with its vital product data, REPORT LUNS, REQUEST SENSE.
///
/// Names as Hyper-V's: Linux looks for the vendor "Msft" before it sends WRITE SAME.
enum SCSIIdentity {
  static let vendor = "Msft"
  static let revision = "1.0"

  /// INQUIRY without vital product data: SPC-3, response format 2, command queueing.
  static func standard(
    _ drive: DriveCharacteristics, into response: inout SCSIResponse
  ) {
    let isDVD = drive.kind == .dvd
    response.append(bytes: [isDVD ? 5 : 0, isDVD ? 0x80 : 0, 5, 2, 31, 0, 0, 2])
    response.append(vendor, count: 8)
    response.append(isDVD ? "Virtual CD/ROM" : "Virtual Disk", count: 16)
    response.append(revision, count: 4)
  }

  /// VPD page 80h: the serial number, or what the identifier gives.
  static func serialNumber(_ drive: DriveCharacteristics, into response: inout SCSIResponse) {
    let text = drive.serialNumber.isEmpty ? hexadecimal(name(drive.identifier)) : drive.serialNumber
    let count = min(32, text.utf8.count)
    response.append(text, count: count)
  }

  /// VPD page 83h: an NAA name of type 6 with Microsoft's company number, as Hyper-V's, and a T10 name.
  static func identification(_ drive: DriveCharacteristics, into response: inout SCSIResponse) {
    let name = name(drive.identifier)
    response.append(bytes: [0x01, 0x03, 0, UInt8(name.count)] + name)
    let text = hexadecimal(name)
    response.append(bytes: [0x02, 0x01, 0, UInt8(8 + text.utf8.count)])
    response.append("MSFT", count: 8)
    response.append(text, count: text.utf8.count)
  }

  /// 16 bytes: 6 0022 48 0, then the GUID folded to 96 bits so that every bit of it counts.
  static func name(_ identifier: GUID) -> [UInt8] {
    func bytes(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
    let guid = bytes(identifier.low) + bytes(identifier.high)
    return [0x60, 0x02, 0x24, 0x80] + (0..<12).map { $0 < 4 ? guid[$0 + 4] ^ guid[$0] : guid[$0 + 4] }
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  /// INQUIRY. `page` writes the body of a VPD page and says whether the unit has it.
  static func inquiry(
    _ command: SCSICommand, _ drive: DriveCharacteristics, pages: [UInt8], into response: inout SCSIResponse,
    page: (UInt8, inout SCSIResponse) -> Void
  ) -> SCSIStep {
    let wanted = command.block[2]
    if command.block[1] & 1 == 0 {
      guard wanted == 0 else { return .invalidField }
      standard(drive, into: &response)
    } else {
      guard pages.contains(wanted) else { return .invalidField }
      response.append(bytes: [drive.kind == .dvd ? 5 : 0, wanted, 0, 0])
      switch wanted {
      case 0x00: response.append(bytes: pages)
      case 0x80: serialNumber(drive, into: &response)
      case 0x83: identification(drive, into: &response)
      default: page(wanted, &response)
      }
      response.setLength16(at: 2)
    }
    return response.sent(allocation: Int(command.block.uint16(at: 3)), command)
  }

  static func reportUnits(
    _ command: SCSICommand, _ units: SCSIUnitSet, into response: inout SCSIResponse
  ) -> SCSIStep {
    let allocation = command.block.uint32(at: 6)
    // SPC-4 6.33: less than the header and one unit is an error.
    guard allocation >= 16, command.block[2] <= 2 else { return .invalidField }
    // 1: well-known units only, of which there are none.
    let listed = command.block[2] == 1 ? SCSIUnitSet(rawValue: 0) : units
    response.append(UInt32(8 * listed.count))
    response.append(0 as UInt32)
    for unit in 0..<64 as Range<UInt8> where listed.contains(unit) {
      // Peripheral addressing: the number in the second byte.
      response.append(bytes: [0, unit, 0, 0, 0, 0, 0, 0])
    }
    return response.sent(allocation: Int(allocation), command)
  }

  /// The condition that waits, if one does, as data.
  static func requestSense(
    _ command: SCSICommand, _ sense: SenseData, into response: inout SCSIResponse
  ) -> SCSIStep {
    // DESC: the format of this answer, whatever the control mode page says about others.
    var sense = sense
    sense.format = command.block[1] & 1 == 0 ? .fixed : .descriptors
    response.append(sense)
    return response.sent(allocation: Int(command.block[4]), command)
  }
}

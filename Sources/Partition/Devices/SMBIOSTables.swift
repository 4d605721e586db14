// SPDX-License-Identifier: Apache-2.0

import VMBus

/// What the machine says of itself to people and drivers (SMBIOS 3.1, "DMI"). Stock Linux finds it by its anchor between
/// 0xF0000 and 0xFFFFF. Maker and product are Hyper-V's, because drivers go by them: with these two strings `ata_piix`
/// leaves disks to the synthetic controllers (`piix_ignore_devices_quirk`). The chassis' asset tag is left out: one value
/// of it says "Azure" to provisioning tools.
struct SMBIOSTables: Sendable {
  static let maker = "Microsoft Corporation"
  static let product = "Virtual Machine"
  static let version = "7.0"

  var identity: GUID
  var serialNumber: String?
  /// Guest-physical address of the block, a multiple of 16.
  var base: UInt64 = GuestLayout.managementInformation

  /// The entry point, then the structures.
  func encoded() -> [UInt8] {
    let structures = structures()
    var entry = ByteImage(count: 32)
    entry.put(Array("_SM3_".utf8), at: 0)
    entry.put(UInt8(24), at: 6)
    entry.put([3, 1, 0], at: 7)
    entry.put(UInt8(1), at: 10)
    entry.put(UInt32(structures.count), at: 12)
    entry.put(base + 32, at: 16)
    entry.putChecksum(at: 5, over: 0..<24)
    return entry.bytes + structures
  }

  private func structures() -> [UInt8] {
    let serial = serialNumber ?? "None"
    var bytes: [UInt8] = []
    // Firmware. There is none that runs; Linux takes "newer than 2000" from the date.
    var firmware = ByteImage(count: 0x18 - 4)
    firmware.put([1, 2], at: 0)
    firmware.put(UInt16(0xF000), at: 2)
    firmware.put(UInt8(3), at: 4)
    firmware.put(UInt64(1 << 3), at: 6)  // characteristics: not supported
    firmware.put([0, 0b1_0000], at: 14)  // second extension byte, bit 4: a virtual machine
    firmware.put([0xFF, 0xFF, 0xFF, 0xFF], at: 16)
    bytes += Self.structure(0, handle: 0, firmware.bytes, [Self.maker, "swift-lis direct boot", "01/01/2026"])
    // System: maker, product, version, serial, identity, wake-up by power switch, SKU, family.
    var identityBytes = InlineArray<16, UInt8>(repeating: 0)
    var span = identityBytes.mutableSpan
    unsafe span.withUnsafeMutableBytes { buffer in
      unsafe buffer.storeBytes(of: identity.low.littleEndian, as: UInt64.self)
      unsafe buffer.storeBytes(of: identity.high.littleEndian, toByteOffset: 8, as: UInt64.self)
    }
    bytes += Self.structure(
      1, handle: 1, [1, 2, 3, 4] + (0..<16).map { identityBytes[$0] } + [6, 5, 6],
      [Self.maker, Self.product, Self.version, serial, "None", Self.product])
    // Board: maker, product, version, serial; hosting; no location; in chassis 3; a motherboard.
    bytes += Self.structure(
      2, handle: 2, [1, 2, 3, 4, 0, 1, 0] + AML.little(UInt16(3)) + [10, 0],
      [Self.maker, Self.product, Self.version, serial])
    // Chassis: a desktop, states safe.
    bytes += Self.structure(
      3, handle: 3, [1, 3, 2, 3, 0, 3, 3, 3, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0],
      [Self.maker, Self.version, serial])
    bytes += Self.structure(32, handle: 4, [UInt8](repeating: 0, count: 7), [])
    bytes += Self.structure(127, handle: 5, [], [])
    return bytes
  }

  /// Header of four bytes, `body`, then strings, which the body names by their number from 1 on.
  static func structure(_ type: UInt8, handle: UInt16, _ body: [UInt8], _ strings: [String]) -> [UInt8] {
    var bytes: [UInt8] = [type, UInt8(4 + body.count)]
    bytes += AML.little(handle)
    bytes += body
    for string in strings { bytes += Array(string.utf8) + [0] }
    // Two zeros end a structure, also one without strings.
    bytes += strings.isEmpty ? [0, 0] : [0]
    return bytes
  }
}

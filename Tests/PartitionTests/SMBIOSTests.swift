// SPDX-License-Identifier: Apache-2.0

import Testing
import VMBus

@testable import Partition

/// Offsets are those of SMBIOS 3.1: entry point 5.2.2, structures 7.1–7.4.
@Suite struct SMBIOSTests {
  let identity = GUID(0x1234_5678, 0x9ABC, 0xDEF0, 0x1122, 0x3344_5566_7788)

  /// Type, body with header, strings.
  private func structures(_ bytes: [UInt8]) -> [(type: UInt8, body: [UInt8], strings: [String])] {
    var found: [(type: UInt8, body: [UInt8], strings: [String])] = []
    var rest = bytes[...]
    while rest.count >= 4, let type = rest.first {
      let length = Int(rest[rest.startIndex + 1])
      let body = Array(rest.prefix(length))
      rest = rest.dropFirst(length)
      guard let end = Array(rest).firstRange(of: [0, 0])?.lowerBound else { break }
      let texts = rest.prefix(end).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      found.append((type, body, texts))
      rest = rest.dropFirst(end + 2)
      if type == 127 { break }
    }
    #expect(rest.isEmpty)
    return found
  }

  @Test func entryPointLeadsToTheStructures() {
    let block = SMBIOSTables(identity: identity).encoded()
    #expect(Array(block[0..<5]) == Array("_SM3_".utf8))
    #expect(block[6] == 24)
    #expect(block[0..<24].reduce(0, &+) == 0)
    let address = (0..<8).reduce(UInt64(0)) { $0 | UInt64(block[16 + $1]) << UInt64(8 * $1) }
    #expect(address == GuestLayout.managementInformation + 32)
    #expect(Int(block[12]) | Int(block[13]) << 8 == block.count - 32)
    #expect(GuestLayout.managementInformation % 16 == 0)
    #expect(GuestLayout.managementInformation >= GuestLayout.acpi + UInt64(GuestLayout.acpiRoom))
    #expect(GuestLayout.managementInformation + UInt64(block.count) <= GuestLayout.extendedMemory)
  }

  /// What `piix_ignore_devices_quirk` of ata_piix compares, and no version that says "Virtual PC".
  @Test func looksLikeHyperVToDrivers() throws {
    let found = structures(Array(SMBIOSTables(identity: identity, serialNumber: "42").encoded().dropFirst(32)))
    #expect(found.map(\.type) == [0, 1, 2, 3, 32, 127])
    #expect(Array(found[1].strings.prefix(4)) == ["Microsoft Corporation", "Virtual Machine", "7.0", "42"])
    #expect(Array(found[1].body[4..<8]) == [1, 2, 3, 4])
    #expect(
      Array(found[1].body[8..<24])
        == [0x78, 0x56, 0x34, 0x12, 0xBC, 0x9A, 0xF0, 0xDE, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88])
    #expect(Array(found[2].strings.prefix(2)) == ["Microsoft Corporation", "Virtual Machine"])
    #expect(found[0].strings.last == "01/01/2026")
    #expect(found[0].body.count == 0x18 && found[1].body.count == 0x1B && found[2].body.count == 0x0F)
    // No asset tag: one value of it means Azure.
    #expect(found[3].body.count == 0x16 && found[3].body[8] == 0)
  }
}

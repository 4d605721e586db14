// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Partition

/// Expected bytes are from the ACPI 6.4 specification's encodings, chapters 5, 6.4 and 20.2.
@Suite struct ACPITests {
  let tables = ACPITables(
    processors: 2, hasSerial: true, highMMIO: GuestMemoryRange(base: 0x80_0000_0000, byteCount: 64 << 30))

  @Test func integersTakeTheShortestForm() {
    #expect(AML.integer(0) == [0x00])
    #expect(AML.integer(1) == [0x01])
    #expect(AML.integer(2) == [0x0A, 2])
    #expect(AML.integer(0x1234) == [0x0B, 0x34, 0x12])
    #expect(AML.integer(0x1_0000) == [0x0C, 0, 0, 1, 0])
    #expect(AML.integer(0x1_0000_0000) == [0x0E, 0, 0, 0, 0, 1, 0, 0, 0])
  }

  @Test func lengthsCountThemselves() {
    #expect(AML.sized([UInt8](repeating: 0, count: 62)).first == 63)
    let two = AML.sized([UInt8](repeating: 0, count: 63))
    #expect(Array(two.prefix(2)) == [0x41, 0x04])  // 65 = 0x041
    #expect(two.count == 65)
    let three = AML.sized([UInt8](repeating: 0, count: 0x1000))
    #expect(Array(three.prefix(3)) == [0x83, 0x00, 0x01])  // 0x1003
    #expect(three.count == 0x1003)
  }

  @Test func names() {
    #expect(AML.name("_SB") == Array("_SB_".utf8))
    #expect(AML.name("\\_S5") == Array("\\_S5_".utf8))
  }

  @Test func eisaIdentifiers() {
    // PNP0501 is 0x0105D041 in memory order 41 D0 05 01.
    #expect(AML.eisaID("PNP0501") == [0x0C, 0x41, 0xD0, 0x05, 0x01])
    #expect(AML.eisaID("PNP0B00") == [0x0C, 0x41, 0xD0, 0x0B, 0x00])
  }

  @Test func descriptors() {
    #expect(AML.ports(0x3F8, count: 8) == [0x47, 1, 0xF8, 3, 0xF8, 3, 1, 8])
    #expect(AML.interrupt(4) == [0x22, 0x10, 0x00])
    #expect(AML.window32(0xF800_0000, count: 0x6C0_0000).count == 26)
    #expect(AML.window64(1 << 39, count: 1 << 36).count == 46)
    #expect(AML.resources([]) == [0x11, 5, 0x0A, 2, 0x79, 0])
  }

  @Test func everyTableSumsUpToZeroAndIsFound() throws {
    let block = tables.encoded()
    #expect(block.count < GuestLayout.acpiRoom)
    #expect(String(decoding: block[0..<8], as: UTF8.self) == "RSD PTR ")
    #expect(block[0..<20].reduce(0, &+) == 0)
    #expect(block[0..<36].reduce(0, &+) == 0)
    func word(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(block[at + $1]) << (8 * $1) } }
    func offset(_ at: Int) -> Int { word(at) - Int(tables.base) }
    func signature(_ at: Int) -> String { String(decoding: block[at..<at + 4], as: UTF8.self) }
    let roots = offset(24)
    #expect(signature(roots) == "XSDT")
    #expect(word(roots + 4) == 36 + 16)
    let fixed = offset(roots + 36)
    let interrupts = offset(roots + 44)
    #expect(signature(fixed) == "FACP")
    #expect(word(fixed + 4) == 276)
    #expect(signature(interrupts) == "APIC")
    let code = offset(fixed + 140)
    #expect(signature(code) == "DSDT")
    #expect(offset(fixed + 132) % 64 == 0)
    #expect(signature(offset(fixed + 132)) == "FACS")
    for table in [roots, fixed, interrupts, code] {
      #expect(block[table..<table + word(table + 4)].reduce(0, &+) == 0)
    }
    #expect(word(fixed + 48) == 0)  // no SMI command: ACPI mode from the start
    #expect(block[fixed + 128] == ACPITables.resetValue)
  }

  @Test func interruptTableNamesEachProcessor() {
    let body = tables.madt()
    #expect(Array(body[8..<16]) == [0, 8, 0, 0, 1, 0, 0, 0])
    #expect(Array(body[16..<24]) == [0, 8, 1, 1, 1, 0, 0, 0])
    #expect(Array(body[24..<36]) == [1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0])
  }

  @Test func namespaceHasWhatLinuxLooksForAndNoHibernation() {
    let text = String(decoding: tables.dsdt(), as: Unicode.ASCII.self)
    for name in ["VMBus", "ACPI0004", "ACPI0007", "_S5_", "VMBS", "COM1", "RTC0", "CP00", "CP01"] {
      #expect(text.contains(name), "\(name)")
    }
    #expect(!text.contains("_S4_"))
    #expect(!text.contains("CP02"))
    let silent = ACPITables(processors: 1, hasSerial: false, highMMIO: tables.highMMIO)
    #expect(!String(decoding: silent.dsdt(), as: Unicode.ASCII.self).contains("COM1"))
  }

  @Test func lowWindowAvoidsMemoryAndInterruptControllers() {
    #expect(GuestLayout.lowMMIO >= GuestMemory.holeBase)
    #expect(GuestLayout.lowMMIOEnd <= UInt64(GuestLayout.ioAPIC))
    for bits in UInt8(30)...60 {
      let window = GuestLayout.highMMIO(physicalAddressBits: bits)
      #expect(window.base > GuestMemory.holeEnd)
      #expect(window.end <= 1 << UInt64(min(max(bits, 36), 46)))
    }
  }

  @Test func pciBusIsThereOnlyForMachinesThatHaveIt() {
    #expect(!String(decoding: tables.dsdt(), as: Unicode.ASCII.self).contains("PCI0"))
    var withPCI = tables
    withPCI.pciRoot = PCIRoot(routes: [PCIRoot.Route(device: 10, pin: 0, interrupt: 11)])
    let code = withPCI.dsdt()
    let text = String(decoding: code, as: Unicode.ASCII.self)
    #expect(text.contains("PCI0") && text.contains("_PRT"))
    // PNP0A03; then the route: 0x000AFFFF, pin 0, no link, interrupt 11.
    #expect(code.firstRange(of: [0x0C, 0x41, 0xD0, 0x0A, 0x03]) != nil)
    #expect(code.firstRange(of: [0x0C, 0xFF, 0xFF, 0x0A, 0x00, 0x00, 0x00, 0x0A, 0x0B]) != nil)
    // Ports but for its own configuration ports, buses, and a window of memory that is not the VMBus's any more.
    #expect(AML.portWindow(0...0xCF7) == [0x88, 13, 0, 1, 0x0C, 3, 0, 0, 0, 0, 0xF7, 0x0C, 0, 0, 0xF8, 0x0C])
    #expect(AML.buses(0...255) == [0x88, 13, 0, 2, 0x0C, 0, 0, 0, 0, 0, 0xFF, 0, 0, 0, 0, 1])
    #expect(code.firstRange(of: AML.window32(0xFE00_0000, count: 0xC0_0000)) != nil)
    #expect(code.firstRange(of: AML.window32(0xF800_0000, count: 0x600_0000)) != nil)
    #expect(withPCI.encoded().count < GuestLayout.acpiRoom)
  }
}

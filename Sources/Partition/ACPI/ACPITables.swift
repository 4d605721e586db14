// SPDX-License-Identifier: Apache-2.0

/// The ACPI tables of a partition, as one block of bytes that begins with the root pointer (ACPI 6.4, chapter 5).
///
/// No \_S4: with it Linux' hv_balloon believes in hibernation and refuses to give memory back.
struct ACPITables: Sendable {
  var processors: Int
  var hasSerial: Bool
  var highMMIO: GuestMemoryRange
  /// nil: there is no PCI bus.
  var pciRoot: PCIRoot? = nil
  /// Guest-physical address of the block, a multiple of 64.
  var base: UInt64 = GuestLayout.acpi

  /// The value of SLP_TYP that means S5.
  static let sleepTypeOff: UInt8 = 5
  /// What the reset register wants: the same value as the PC's port 0xCF9.
  static let resetValue: UInt8 = 0x06

  func encoded() -> [UInt8] {
    var block: [UInt8] = [UInt8](repeating: 0, count: 64)  // room for the root pointer
    func place(_ table: [UInt8]) -> UInt64 {
      block += [UInt8](repeating: 0, count: (64 - block.count % 64) % 64)
      defer { block += table }
      return base + UInt64(block.count)
    }
    let firmware = place(Self.firmwareControl())
    let code = place(Self.table("DSDT", revision: 2, dsdt()))
    let fixed = place(fixedDescription(firmware: firmware, code: code))
    let interrupts = place(Self.table("APIC", revision: 5, madt()))
    let roots = place(Self.table("XSDT", revision: 1, AML.little(fixed) + AML.little(interrupts)))
    block.replaceSubrange(0..<36, with: Self.rootPointer(roots))
    return block
  }

  static func rootPointer(_ roots: UInt64) -> [UInt8] {
    var table = ByteImage(count: 36)
    table.put(Array("RSD PTR ".utf8), at: 0)
    table.put(Array("SWLIS ".utf8), at: 9)
    table.put(UInt8(2), at: 15)
    table.put(UInt32(36), at: 20)
    table.put(roots, at: 24)
    table.putChecksum(at: 8, over: 0..<20)
    table.putChecksum(at: 32, over: 0..<36)
    return table.bytes
  }

  /// A table with the common header of 36 bytes.
  static func table(_ signature: String, revision: UInt8, _ body: [UInt8]) -> [UInt8] {
    var table = ByteImage(count: 36 + body.count)
    table.put(Array(signature.utf8), at: 0)
    table.put(UInt32(36 + body.count), at: 4)
    table.put(revision, at: 8)
    table.put(Array("SWLIS SWIFTLIS".utf8), at: 10)
    table.put(UInt32(1), at: 24)
    table.put(Array("SLIS".utf8), at: 28)
    table.put(UInt32(1), at: 32)
    table.put(body, at: 36)
    table.putChecksum(at: 9, over: 0..<36 + body.count)
    return table.bytes
  }

  static func firmwareControl() -> [UInt8] {
    var table = ByteImage(count: 64)
    table.put(Array("FACS".utf8), at: 0)
    table.put(UInt32(64), at: 4)
    table.put(UInt8(2), at: 32)
    return table.bytes
  }

  private func fixedDescription(firmware: UInt64, code: UInt64) -> [UInt8] {
    // Offsets of the specification, which count the common header.
    var body = ByteImage(count: 276 - 36)
    func at(_ offset: Int) -> Int { offset - 36 }
    body.put(UInt32(firmware), at: at(36))
    body.put(UInt32(code), at: at(40))
    body.put(UInt16(Interrupt.sci), at: at(46))
    body.put(UInt32(Port.pm1Status), at: at(56))
    body.put(UInt32(Port.pm1Control), at: at(64))
    body.put(UInt8(4), at: at(88))
    body.put(UInt8(2), at: at(89))
    body.put(UInt16(0xFFFF), at: at(96))  // no C2
    body.put(UInt16(0xFFFF), at: at(98))  // no C3
    body.put(UInt8(RealTimeClock.centuryRegister), at: at(108))
    body.put(UInt16(1 << 2), at: at(109))  // no VGA; bit 1 clear: no 8042, so Linux does not wait for one
    // WBINVD works (bit 0), C1 works (2); power (4) and sleep (5) buttons and RTC wake (6) are not fixed hardware; there is a
    // reset register (10).
    let flags: UInt32 = 0x0000_0475
    body.put(flags, at: at(112))
    body.put(Self.portAddress(Port.reset, bits: 8), at: at(116))
    body.put(Self.resetValue, at: at(128))
    body.put(UInt8(4), at: at(131))  // 6.4
    body.put(firmware, at: at(132))
    body.put(code, at: at(140))
    body.put(Self.portAddress(Port.pm1Status, bits: 32), at: at(148))
    body.put(Self.portAddress(Port.pm1Control, bits: 16), at: at(172))
    return Self.table("FACP", revision: 6, body.bytes)
  }

  /// A generic address structure in I/O space.
  static func portAddress(_ port: UInt16, bits: UInt8) -> [UInt8] {
    let access: UInt8 = bits == 8 ? 1 : 2
    return [1, bits, 0, access] + AML.little(UInt64(port))
  }

  func madt() -> [UInt8] {
    var body = AML.little(GuestLayout.localAPIC) + AML.little(UInt32(1))  // a PIC is there, too
    for id in 0..<processors { body += [0, 8, UInt8(id), UInt8(id)] + AML.little(UInt32(1)) }
    body += [1, 12, 0, 0] + AML.little(GuestLayout.ioAPIC) + AML.little(UInt32(0))
    // The SCI is level-triggered, active high.
    body += [2, 10, 0, UInt8(Interrupt.sci)] + AML.little(Interrupt.sci) + AML.little(UInt16(0xD))
    body += [4, 6, 0xFF] + AML.little(UInt16(0)) + [1]  // NMI at LINT1 of every processor
    return body
  }

  /// The root bus with what it hands out: all ports but its own configuration ports, and memory at the end of the hole.
  private static func pciBus(_ root: PCIRoot) -> [UInt8] {
    var terms = [
      AML.define("_HID", AML.eisaID("PNP0A03")), AML.define("_UID", AML.integer(0)), AML.define("_ADR", AML.integer(0)),
      AML.define(
        "_CRS",
        AML.resources([
          AML.buses(0...255), AML.ports(Port.pciAddress, count: 8),
          AML.portWindow(0...Port.pciAddress - 1), AML.portWindow(Port.pciData + 4...0xFFFF),
          AML.window32(
            UInt32(GuestLayout.pciMMIO), count: UInt32(GuestLayout.lowMMIOEnd - GuestLayout.pciMMIO)),
        ])),
    ]
    if !root.routes.isEmpty {
      // Device in the upper half of the address, any function; pin; no link device, so the interrupt itself.
      terms.append(
        AML.define(
          "_PRT",
          AML.package(
            root.routes.map { route in
              AML.package([
                AML.integer(UInt64(route.device) << 16 | 0xFFFF), AML.integer(UInt64(route.pin)), AML.integer(0),
                AML.integer(UInt64(route.interrupt)),
              ])
            })))
    }
    return AML.device("PCI0", terms)
  }

  func dsdt() -> [UInt8] {
    let zero = AML.integer(0)
    var devices: [[UInt8]] = []
    for id in 0..<processors {
      devices.append(
        AML.device(
          "CP0\(String(id, radix: 16, uppercase: true))",
          [AML.define("_HID", AML.string("ACPI0007")), AML.define("_UID", AML.integer(UInt64(id)))]))
    }
    let bus = AML.device(
      "VMBS",
      [
        AML.define("_HID", AML.string("VMBus")), AML.define("_UID", zero), AML.define("_STA", AML.integer(0xF)),
        // Linux refuses a VMBus without _CRS; an empty one is enough, the windows are its parent's.
        AML.define("_CRS", AML.resources([])),
      ])
    devices.append(
      AML.device(
        "VMOD",
        [
          AML.define("_HID", AML.string("ACPI0004")), AML.define("_UID", zero),
          AML.define(
            "_CRS",
            AML.resources([
              AML.window32(
                UInt32(GuestLayout.lowMMIO),
                count: UInt32((pciRoot == nil ? GuestLayout.lowMMIOEnd : GuestLayout.pciMMIO) - GuestLayout.lowMMIO)),
              AML.window64(highMMIO.base, count: highMMIO.byteCount),
            ])),
          bus,
        ]))
    if let pciRoot { devices.append(Self.pciBus(pciRoot)) }
    if hasSerial {
      devices.append(
        AML.device(
          "COM1",
          [
            AML.define("_HID", AML.eisaID("PNP0501")), AML.define("_UID", AML.integer(1)),
            AML.define("_STA", AML.integer(0xF)),
            AML.define(
              "_CRS",
              AML.resources([
                AML.ports(Port.serial, count: UInt8(Port.serialCount)), AML.interrupt(Interrupt.serial),
              ])),
          ]))
    }
    devices.append(
      AML.device(
        "RTC0",
        [
          AML.define("_HID", AML.eisaID("PNP0B00")),
          AML.define("_CRS", AML.resources([AML.ports(Port.rtcIndex, count: 2), AML.interrupt(Interrupt.rtc)])),
        ]))
    return AML.define("\\_S0", AML.package([zero, zero, zero, zero]))
      + AML.define(
        "\\_S5",
        AML.package([AML.integer(UInt64(Self.sleepTypeOff)), AML.integer(UInt64(Self.sleepTypeOff)), zero, zero]))
      + AML.scope("\\_SB", devices)
  }
}

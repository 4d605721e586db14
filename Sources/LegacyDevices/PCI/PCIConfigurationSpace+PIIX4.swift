// SPDX-License-Identifier: Apache-2.0

/// The functions of Intel's PIIX4 (82371AB) as its firmware leaves them. Its power management function (8086:7113) is
/// left out: power management is ACPI's here, and stock Linux complains of a bus controller in it that nobody set up.
extension PCIConfigurationSpace {
  /// The bridge to ISA, which makes the device's other functions visible.
  public static let isaBridge: PCIConfigurationSpace = {
    var space = PCIConfigurationSpace(vendor: 0x8086, device: 0x7110, classCode: 0x06_0100, revision: 1)
    space.set(UInt32(0x0200_0007), at: 0x04)
    return space
  }()

  /// Base address register of the bus master ports.
  static let busMasterBAR = 4

  /// The IDE controller: both channels at their compatible ports, bus master ports in register 4. `decodes`: which channels
  /// have drives; the others are switched off (bit 15 of IDETIM), and Linux does not wait for them.
  static func ideController(decodes: [Bool]) -> PCIConfigurationSpace {
    // Programming interface 0x80: bus master, both channels compatible and not to be changed.
    var space = PCIConfigurationSpace(vendor: 0x8086, device: 0x7111, classCode: 0x01_0180, revision: 1)
    space.set(decodesPorts | mastersBus, at: 0x04)
    space.allow(decodesPorts | mastersBus, at: 0x04)
    space.set(UInt16(0x0280), at: 0x06)
    space.allow(UInt8(0xFF), at: 0x0D)
    space.addPorts(bar: busMasterBAR, count: 16, base: 0xFFA0)
    // IDETIM of both channels, SIDETIM, UDMACTL and UDMATIM: timings without meaning here, kept for whoever reads back.
    for (channel, isOn) in decodes.enumerated().prefix(2) {
      space.set(isOn ? UInt16(0x8000) : 0, at: 0x40 + channel * 2)
      space.allow(UInt16(0xFFFF), at: 0x40 + channel * 2)
    }
    space.allow(UInt8(0xFF), at: 0x44)
    space.allow(UInt8(0x0F), at: 0x48)
    space.allow(UInt16(0x3333), at: 0x4A)
    return space
  }

  /// Whether the IDE controller answers at the ports of `channel`.
  func decodesChannel(_ channel: Int) -> Bool {
    command & Self.decodesPorts != 0 && read(0x40 + channel * 2, size: 2) & 0x8000 != 0
  }
}

// SPDX-License-Identifier: Apache-2.0

/// PCI configuration space through ports 0xCF8 and 0xCFC, with nothing in it but the host bridge of Hyper-V's generation 1
/// machines. There is no PCI bus in ACPI, so Linux never enumerates it; but without any answer here Linux 6.1 and 6.12
/// log an error at each boot ("No config space access function found").
struct PCIConfiguration: Sendable {
  private var address: UInt32 = 0

  init() {}

  static func contains(_ port: UInt16) -> Bool { port >= Port.pciAddress && port < Port.pciData + 4 }

  func read(_ port: UInt16, size: Int) -> UInt32 {
    if port == Port.pciAddress { return size == 4 ? address : .max }
    guard port >= Port.pciData else { return .max }
    return register >> (UInt32(port - Port.pciData) * 8)
  }

  mutating func write(_ port: UInt16, size: Int, _ value: UInt32) {
    if port == Port.pciAddress, size == 4 { address = value & 0x80FF_FFFC }
  }

  /// The 32-bit register that the address names; bit 31 enables, then bus, device, function.
  private var register: UInt32 {
    guard address & 0xFFFF_FF00 == 0x8000_0000 else { return .max }
    return switch address & 0xFC {
    case 0x00: 0x7192_8086  // 82443BX host bridge without AGP
    case 0x04: 0x0200_0006  // memory and bus master enabled
    case 0x08: 0x0600_0003  // class: host bridge
    default: 0
    }
  }
}

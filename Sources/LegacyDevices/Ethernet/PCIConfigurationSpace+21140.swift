// SPDX-License-Identifier: Apache-2.0

extension PCIConfigurationSpace {
  /// The adapter's registers are behind ports only; the part itself shows them in memory, too.
  public static let ethernetBAR = 0

  /// DEC's 21140 (revision 2.0, a 21140A) as firmware leaves it: with ports from `ports` on, and an interrupt.
  public static func ethernet(ports: UInt16, interrupt: UInt8) -> PCIConfigurationSpace {
    var space = PCIConfigurationSpace(vendor: 0x1011, device: 0x0009, classCode: 0x02_0000, revision: 0x20)
    space.set(decodesPorts, at: 0x04)
    space.allow(decodesPorts | mastersBus, at: 0x04)
    // Fast back-to-back, medium timing.
    space.set(UInt16(0x0280), at: 0x06)
    space.allow(UInt8(0xFF), at: 0x0C)
    space.allow(UInt8(0xFF), at: 0x0D)
    space.addPorts(bar: ethernetBAR, count: EthernetController.portCount, base: ports)
    space.set(interrupt, at: 0x3C)
    space.allow(UInt8(0xFF), at: 0x3C)
    space.set(UInt8(1), at: 0x3D)
    // Minimum grant and maximum latency, in 250 ns.
    space.set(UInt16(0x2814), at: 0x3E)
    // CFDD: sleep, snooze, and a byte for the driver.
    space.allow(UInt32(0xC000_FF00), at: 0x40)
    return space
  }

  /// Whether the function may read and write memory.
  public var mayMasterBus: Bool { command & Self.mastersBus != 0 }
}

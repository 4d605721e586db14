// SPDX-License-Identifier: Apache-2.0

/// PCI's configuration mechanism #1 for one bus: an address in port 0xCF8, then data in ports 0xCFC–0xCFF. Device 0 is the
/// host bridge that Hyper-V's generation 1 shows; everything else is added by its owner, with its interrupt routes.
public struct PCIHostBridge: Sendable {
  public static let firstPort: UInt16 = 0xCF8
  public static let portCount: UInt16 = 8
  private static let dataPort: UInt16 = 0xCFC

  private var address: UInt32 = 0
  private var functions: [PCIAddress: PCIConfigurationSpace] = [:]

  public init() {
    // 82443BX without AGP.
    var bridge = PCIConfigurationSpace(vendor: 0x8086, device: 0x7192, classCode: 0x06_0000, revision: 3)
    bridge.set(UInt32(0x0200_0006), at: 0x04)
    functions[PCIAddress(device: 0)] = bridge
  }

  public mutating func add(_ function: PCIConfigurationSpace, at address: PCIAddress) {
    functions[address] = function
    guard address.function != 0, var first = functions[PCIAddress(device: address.device)] else { return }
    // Bit 7 of the header type: ask for functions other than 0, too.
    first.set(UInt8(truncatingIfNeeded: first.read(0x0E, size: 1)) | 0x80, at: 0x0E)
    functions[PCIAddress(device: address.device)] = first
  }

  public subscript(_ address: PCIAddress) -> PCIConfigurationSpace? { functions[address] }

  // MARK: for a guest

  public static func contains(_ port: UInt16) -> Bool { port >= firstPort && port < firstPort + portCount }

  public func read(_ port: UInt16, size: Int) -> UInt32 {
    if port == Self.firstPort, size == 4 { return address }
    guard port >= Self.dataPort, let target, let function = functions[target.function] else { return .max }
    return function.read(target.register + Int(port - Self.dataPort), size: min(size, Int(Self.dataPort + 4 - port)))
  }

  /// Returns whose configuration may have changed.
  public mutating func write(_ port: UInt16, size: Int, _ value: UInt32) -> PCIAddress? {
    if port == Self.firstPort {
      if size == 4 { address = value & 0x80FF_FFFC }
      return nil
    }
    guard port >= Self.dataPort, let target, var function = functions[target.function] else { return nil }
    function.write(
      target.register + Int(port - Self.dataPort), size: min(size, Int(Self.dataPort + 4 - port)), value)
    functions[target.function] = function
    return target.function
  }

  /// What the address names: bit 31 enables, then bus, device and function, register.
  private var target: (function: PCIAddress, register: Int)? {
    guard address & 0xFFFF_0000 == 0x8000_0000 else { return nil }
    return (PCIAddress(rawValue: UInt8(truncatingIfNeeded: address >> 8)), Int(address & 0xFC))
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The devices of a machine that the partition does not have itself, behind the I/O ports it does not have itself. One
/// object stands for all of them, PCI's configuration ports 0xCF8–0xCFF included (but a single byte at 0xCF9 is the
/// partition's reset register).
///
/// A call is one trip of a processor to this process. A string instruction comes as one run: `bytes` holds several
/// accesses of `size` bytes each, all to the same port, in order.
public protocol PortDevices: AnyObject, Sendable {
  /// What stands in ACPI for it; nil: no PCI bus is described.
  var pciRoot: PCIRoot? { get }
  /// Processor thread: must not block. Where nothing is, ones are read.
  func portRead(_ port: UInt16, size: Int, into bytes: inout MutableRawSpan)
  /// Processor thread: must not block. `bytes` is the caller's own copy.
  func portWrite(_ port: UInt16, size: Int, from bytes: RawSpan)
  /// The machine is reset; no processor runs.
  func portsReset()
}

/// A PCI root bus as ACPI describes it.
public struct PCIRoot: Equatable, Sendable {
  /// Where a device's interrupt pin ends: `pin` 0…3 for INTA…INTD.
  public struct Route: Equatable, Sendable {
    public var device: UInt8
    public var pin: UInt8
    public var interrupt: UInt32

    public init(device: UInt8, pin: UInt8, interrupt: UInt32) {
      self.device = device
      self.pin = pin
      self.interrupt = interrupt
    }
  }

  public var routes: [Route]

  public init(routes: [Route] = []) { self.routes = routes }
}

/// A run of I/O ports.
public struct PortRange: Hashable, Sendable {
  public var base: UInt16
  public var count: UInt16

  public init(base: UInt16, count: UInt16) {
    self.base = base
    self.count = count
  }
}

// SPDX-License-Identifier: Apache-2.0

import CLinux
public import ControlAPI

/// What a machine is made of. Built from flags, from a YAML file, or from both (flags win); also what the software
/// machine is handed as JSON.
///
/// A value of this type has plausible fields, but nothing was opened yet: `checkInputs()` looks at the files.
public struct VirtualMachineConfiguration: Codable, Hashable, Sendable {
  public var name: String
  /// 1 to 8 virtual processors.
  public var processors: Int
  public var memory: ByteCount
  /// Absolute path of a bzImage or ELF vmlinux.
  public var kernel: String
  /// Absolute path.
  public var initramfs: String?
  public var commandLine: String
  public var unpackKernel: KernelUnpacking
  public var serial: SerialConsole
  /// The newest VMBus version the guest may have; `nil` for the newest there is.
  public var busVersionLimit: BusVersion?
  public var accelerator: Accelerator
  /// Services not offered at the start.
  public var disabledServices: Set<ServiceName>
  /// Items for the guest's pool `external` at the start.
  public var keyValues: [String: String]
  public var onCrash: CrashAction
  /// On the SCSI controllers. Every unit number is set; no two are alike on one controller.
  public var disks: [DiskConfiguration]
  /// Not empty: the machine has PCI and an emulated IDE controller (generation 1).
  public var ideDrives: [IDEDrive]
  /// Network adapters: up to eight synthetic ones, and up to four that are emulated.
  public var adapters: [NetworkAdapterConfiguration]

  public init(
    name: String, processors: Int = 1, memory: ByteCount = .defaultMemory, kernel: String, initramfs: String? = nil,
    commandLine: String = "", unpackKernel: KernelUnpacking = .auto, serial: SerialConsole = .interactive,
    busVersionLimit: BusVersion? = nil,
    accelerator: Accelerator = .auto, disabledServices: Set<ServiceName> = [], keyValues: [String: String] = [:],
    onCrash: CrashAction = .keep, disks: [DiskConfiguration] = [], ideDrives: [IDEDrive] = [],
    adapters: [NetworkAdapterConfiguration] = []
  ) {
    self.name = name
    self.processors = processors
    self.memory = memory
    self.kernel = kernel
    self.initramfs = initramfs
    self.commandLine = commandLine
    self.unpackKernel = unpackKernel
    self.serial = serial
    self.busVersionLimit = busVersionLimit
    self.accelerator = accelerator
    self.disabledServices = disabledServices
    self.keyValues = keyValues
    self.onCrash = onCrash
    self.disks = disks
    self.ideDrives = ideDrives
    self.adapters = adapters
  }
}

/// A size in bytes, written `512M` or `2G` by people.
public struct ByteCount: RawRepresentable, Codable, Hashable, Sendable, Comparable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let defaultMemory = ByteCount(rawValue: 512 << 20)
  /// What a current distribution kernel needs to come up at all.
  public static let minimumMemory = ByteCount(rawValue: 128 << 20)
  /// Beyond any host we know of; a guard for arithmetic, not a promise.
  public static let maximumMemory = ByteCount(rawValue: 1 << 42)

  public static func < (left: ByteCount, right: ByteCount) -> Bool { left.rawValue < right.rawValue }
}

/// What processors the machine runs on.
public enum Accelerator: String, Codable, CaseIterable, Sendable {
  /// KVM where it is usable, the software machine elsewhere.
  case auto
  case kvm
  case software
}

/// Who unpacks a bzImage.
public enum KernelUnpacking: String, Codable, CaseIterable, Sendable {
  /// The host where it is virtual itself: every page that a guest touches first costs a trip through two hypervisors
  /// there. Elsewhere the guest, which is as fast then, and starts sooner.
  case auto
  /// `lis`, which also moves the kernel to a random virtual address; the guest where `lis` cannot.
  case host
  /// The kernel's own code, as behind firmware.
  case guest

  /// `isNested`: this host is a virtual machine.
  public func isForGuest(isNested: Bool) -> Bool { self == .guest || (self == .auto && !isNested) }

  /// Whether this host is a virtual machine (leaf 1, ECX bit 31, which no processor sets itself).
  public static var hostIsVirtual: Bool { clinux_native_cpuid(1).ecx >> 31 == 1 }
}

/// What becomes of the guest's serial port.
public enum SerialConsole: Codable, Hashable, Sendable {
  /// The terminal `lis run` was started on.
  case interactive
  /// Output is written to this file (absolute path), which is emptied first; there is no input.
  case file(String)
  case off
}

/// What to do when the guest reports a panic.
public enum CrashAction: String, Codable, CaseIterable, Sendable {
  /// Say so and leave the rest to the guest: a crash kernel, or the reboot that `panic=` asks for.
  case keep
  /// End, with the exit code of a crash.
  case stop
  /// Reset in place.
  case restart
}

/// A VMBus version, `5.2`. On the wire the major number is the upper half of 32 bits.
public struct BusVersion: RawRepresentable, Codable, Hashable, Sendable, Comparable, CustomStringConvertible {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(major: UInt16, minor: UInt16) { rawValue = UInt32(major) << 16 | UInt32(minor) }

  /// Oldest first: those a current Linux can ask for.
  public static let supported = [
    BusVersion(major: 4, minor: 0), BusVersion(major: 4, minor: 1), BusVersion(major: 5, minor: 0),
    BusVersion(major: 5, minor: 1), BusVersion(major: 5, minor: 2), BusVersion(major: 5, minor: 3),
  ]

  public var description: String { "\(rawValue >> 16).\(rawValue & 0xffff)" }

  public static func < (left: BusVersion, right: BusVersion) -> Bool { left.rawValue < right.rawValue }
}

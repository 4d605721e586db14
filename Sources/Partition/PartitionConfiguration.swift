// SPDX-License-Identifier: Apache-2.0

import VMBus

/// A file, or a part of a file or block device, that is loaded into the guest at start and at every reset.
public struct BootFile: Sendable, Equatable {
  public var path: String
  /// How errors name it: the path that a person gave, where `path` is a device that stands for it.
  public var name: String
  /// First byte in the file.
  public var offset: UInt64
  /// nil: up to the end of the file. Block devices have no end that can be trusted to the byte: give a length there.
  public var length: UInt64?

  public init(path: String, name: String? = nil, offset: UInt64 = 0, length: UInt64? = nil) {
    self.path = path
    self.name = name ?? path
    self.offset = offset
    self.length = length
  }
}

/// Takes what the guest writes to its serial port.
public protocol SerialSink: AnyObject, Sendable {
  /// Called on the partition's own serial thread with bytes in order; may block: the port then tells the guest that
  /// its transmitter is busy.
  func serialOutput(_ bytes: UnsafeRawBufferPointer)
}

/// What a partition is made of. A plain value: building one opens nothing.
public struct PartitionConfiguration: Sendable {
  public static let processorLimits = 1...8
  public static let minimumMemory: UInt64 = 128 << 20

  /// Virtual processors, 1…8.
  public var processors: Int
  /// RAM in bytes, a multiple of 2 MiB, from 128 MiB on.
  public var memoryBytes: UInt64
  /// bzImage or ELF vmlinux, x86-64.
  public var kernel: BootFile
  public var initramfs: BootFile?
  /// A packed kernel unpacks itself, as behind firmware. Otherwise the host does that where it can.
  public var guestUnpacksKernel = false
  public var commandLine: String
  /// nil: the guest has no serial port.
  public var serial: (any SerialSink)?
  public var kvmPath: String = "/dev/kvm"
  /// The machine's identity in its management information (SMBIOS).
  public var identity = GUID(low: 0, high: 0)
  public var serialNumber: String?
  /// Devices behind I/O ports and PCI, for a machine of generation 1.
  public var portDevices: (any PortDevices)?

  public init(
    processors: Int, memoryBytes: UInt64, kernel: BootFile, initramfs: BootFile? = nil, commandLine: String = "",
    serial: (any SerialSink)? = nil
  ) {
    self.processors = processors
    self.memoryBytes = memoryBytes
    self.kernel = kernel
    self.initramfs = initramfs
    self.commandLine = commandLine
    self.serial = serial
  }
}

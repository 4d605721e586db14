// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem

/// Where the inner end of the file link finds its port and its window.
enum InnerImages {
  /// Of the port on the virtio-serial device; port 1 is the link of console and control.
  static let portNumber = 2

  static func connect() throws(SystemError) -> FileLink {
    guard let node = Folder.names("/sys/class/virtio-ports").first(where: { $0.hasSuffix("p\(portNumber)") }) else {
      throw SystemError("open", "the port for image files", error: ENXIO)
    }
    let port = try Descriptor.open("/dev/\(node)", O_RDWR)
    return FileLink(port: port, window: try window())
  }

  /// QEMU's shared memory device (its numbers are in QEMU's document on ivshmem): register 2 is the memory.
  private static func window() throws(SystemError) -> DataWindow {
    let devices = "/sys/bus/pci/devices"
    let device = Folder.names(devices).first { name in
      SystemFiles.text(at: "\(devices)/\(name)/vendor")?.hasPrefix("0x1af4") == true
        && SystemFiles.text(at: "\(devices)/\(name)/device")?.hasPrefix("0x1110") == true
    }
    guard let device else { throw SystemError("open", "the data window", error: ENXIO) }
    try SystemFiles.write([UInt8(ascii: "1")], to: "\(devices)/\(device)/enable")
    let memory = try Descriptor.open("\(devices)/\(device)/resource2", O_RDWR)
    return try DataWindow(memory.number)
  }
}

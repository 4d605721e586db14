// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What can be said about a configuration by looking at this host, before anything is started.
extension VirtualMachineConfiguration {
  /// Opens each file once and compares sizes. What is *in* the kernel is found out by whoever loads it.
  public func checkInputs() throws(ConfigurationError) { try checkInputs(hostMemory: Self.hostMemory) }

  static var hostMemory: UInt64 {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let size = sysconf(Int32(_SC_PAGESIZE))
    guard pages > 0, size > 0 else { return .max }
    return UInt64(pages) &* UInt64(size)
  }

  func checkInputs(hostMemory: UInt64) throws(ConfigurationError) {
    guard memory.rawValue <= hostMemory else {
      throw ConfigurationError(
        source: "memory", "\(memory) is more than this host has (\(hostMemory >> 20)M)", remedy: "use less")
    }
    let kernelBytes = try FileProbe(kernel, what: "the kernel").byteCount
    var loaded = kernelBytes
    if let initramfs {
      let probe = try FileProbe(initramfs, what: "the initramfs")
      loaded &+= probe.byteCount
      guard probe.byteCount < memory.rawValue, loaded < memory.rawValue else {
        throw ConfigurationError(
          source: nil,
          "the initramfs \(initramfs) (\(probe.byteCount >> 20) MiB) does not fit into \(memory) of memory",
          remedy: "give the machine more memory", isInput: true)
      }
    } else {
      guard loaded < memory.rawValue else {
        throw ConfigurationError(
          source: nil, "the kernel \(kernel) (\(kernelBytes >> 20) MiB) does not fit into \(memory) of memory",
          remedy: "give the machine more memory", isInput: true)
      }
    }
    try checkDisks()
  }

  private func checkDisks() throws(ConfigurationError) {
    var seen: [FileProbe.Identity: DiskConfiguration] = [:]
    for disk in disks + ideDrives.map(\.disk) {
      guard let path = disk.path else { continue }
      let probe = try FileProbe(
        path, what: disk.kind == .dvd ? "the disc" : "the disk", for: .disk(isWritable: !disk.isReadOnly))
      if let other = seen.updateValue(disk, forKey: probe.identity), !disk.isReadOnly || !other.isReadOnly {
        throw ConfigurationError(
          source: nil, "\(other.path ?? "") and \(path) are the same file",
          remedy: "two disks can share a file only when both are read-only", isInput: true)
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc

extension PartitionConfiguration {
  /// The checks that need no file and no KVM.
  func check() throws(PartitionError) {
    guard Self.processorLimits.contains(processors) else { throw .processorCountOutOfRange(processors) }
    guard memoryBytes >= Self.minimumMemory else { throw .memoryTooSmall(memoryBytes) }
    guard memoryBytes % GuestMemory.hugePage == 0 else { throw .memorySizeNotUsable(memoryBytes) }
    let host = UInt64(clamping: sysconf(Int32(_SC_PHYS_PAGES))) &* UInt64(clamping: sysconf(Int32(_SC_PAGESIZE)))
    guard memoryBytes <= host else { throw .memoryLargerThanHost(memoryBytes, host: host) }
  }
}

// SPDX-License-Identifier: Apache-2.0

import LegacyDevices
import Partition

/// All that a machine of generation 1 has behind ports: the board with its drives, and emulated network adapters.
final class LegacyPorts: PortDevices {
  let storage: LegacyStorage
  let adapters: [LegacyAdapter]

  init(_ storage: LegacyStorage, _ adapters: [LegacyAdapter]) {
    self.storage = storage
    self.adapters = adapters
  }

  /// Once, before a processor runs.
  func connect(_ partition: Partition) throws(PartitionError) {
    try storage.connect(partition)
    for adapter in adapters { try adapter.connect(partition) }
  }

  /// No processor runs any more.
  func stop() {
    storage.stop()
    for adapter in adapters { adapter.stop() }
  }

  var pciRoot: PCIRoot? { PCIRoot(routes: adapters.map(\.route)) }

  private func adapter(at port: UInt16) -> LegacyAdapter? { adapters.first { $0.contains(port) } }

  func portRead(_ port: UInt16, size: Int, into bytes: inout MutableRawSpan) {
    if let adapter = adapter(at: port) {
      adapter.portRead(port, size: size, into: &bytes)
    } else {
      storage.portRead(port, size: size, into: &bytes)
    }
  }

  func portWrite(_ port: UInt16, size: Int, from bytes: RawSpan) {
    if let adapter = adapter(at: port) {
      adapter.portWrite(port, size: size, from: bytes)
    } else {
      storage.portWrite(port, size: size, from: bytes)
    }
  }

  func portsReset() {
    storage.portsReset()
    for adapter in adapters { adapter.portsReset() }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Partition
import ServiceProviders
import VMBus

/// The guest's memory, as a network channel reaches it.
struct GuestNetworkMemory: NetworkMemory {
  let memory: GuestMemory

  func read(_ address: UInt64, into bytes: inout MutableRawSpan) -> Bool {
    let count = bytes.byteCount
    guard let source = unsafe memory.pointer(to: address, count: count) else { return false }
    unsafe bytes.withUnsafeMutableBytes {
      unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: source, count: count))
    }
    return true
  }

  func write(_ address: UInt64, from bytes: RawSpan) -> Bool {
    guard let target = unsafe memory.pointer(to: address, count: bytes.byteCount) else { return false }
    unsafe bytes.withUnsafeBytes {
      if let source = $0.baseAddress { unsafe target.copyMemory(from: source, byteCount: $0.count) }
    }
    return true
  }
}

/// What an adapter's provider asks while it answers.
struct AdapterEnvironment: NetworkEnvironment {
  var buffers: [GPADLID: NetworkBuffer]
  var statistics: NetworkStatistics

  func buffer(_ id: GPADLID) -> NetworkBuffer? { buffers[id] }
}

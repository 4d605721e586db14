// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import HostSystem

/// Memory that both ends of the software machine see: what is read and written of image files goes through it, so that
/// the slow processor copies it once instead of feeding it to a serial port.
///
/// It is cut into slots. Only the slot's owner at the moment touches it: the inner end, until it sends a request that
/// names the slot; then the outer end, until it answers. Neither trusts the other to keep to that: what lies here is
/// only data, or is copied before it is read.
@safe final class DataWindow: Sendable {
  static let slotSize = 64 << 10
  static let slotCount = 64
  static let byteCount = slotSize * slotCount

  private nonisolated(unsafe) let base: UnsafeMutableRawPointer

  /// Maps the window's memory; the descriptor may be closed afterwards.
  init(_ descriptor: Int32) throws(SystemError) {
    let mapped = unsafe mmap(nil, Self.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { throw SystemError("mmap", "the data window") }
    unsafe base = mapped
  }

  deinit { unsafe munmap(base, Self.byteCount) }

  /// New memory for a window. Its size is sealed: nobody who has the descriptor can take pages from under us.
  static func memory() throws(SystemError) -> Descriptor {
    let number = unsafe clinux_sealed_memory("swift-lis-window", UInt64(byteCount))
    guard number >= 0 else { throw SystemError("memfd_create", "the data window", error: -number) }
    return Descriptor(owning: number)
  }

  /// The first `count` bytes of a slot. Traps where the caller has not checked.
  func slot(_ index: UInt16, _ count: Int = slotSize) -> UnsafeMutableRawBufferPointer {
    precondition(index < Self.slotCount && count <= Self.slotSize)
    return unsafe UnsafeMutableRawBufferPointer(start: base + Int(index) * Self.slotSize, count: count)
  }

  func bytes(_ index: UInt16, _ count: Int) -> [UInt8] {
    unsafe [UInt8](slot(index, count))
  }

  func put(_ bytes: [UInt8], in index: UInt16) {
    unsafe slot(index, bytes.count).copyBytes(from: bytes)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A data area that is contiguous in this address space: guest rings whose pages follow one another (what Linux's
/// allocator gives), the guest's own rings, tests.
@safe
public struct LinearRingStorage: RingStorage {
  @usableFromInline let base: UnsafeMutableRawPointer
  public let byteCount: UInt32

  /// `base` is 8-byte aligned and stays mapped, `byteCount` bytes, while the ring is used.
  @inlinable public init(base: UnsafeMutableRawPointer, byteCount: UInt32) {
    unsafe self.base = unsafe base
    self.byteCount = byteCount
  }

  @inlinable @inline(__always)
  public func copyOut(at offset: UInt32, to destination: UnsafeMutableRawBufferPointer) {
    guard let to = destination.baseAddress else { return }
    let untilEnd = Int(byteCount &- offset)
    if destination.count <= untilEnd {
      unsafe to.copyMemory(from: base + Int(offset), byteCount: destination.count)
    } else {
      unsafe to.copyMemory(from: base + Int(offset), byteCount: untilEnd)
      unsafe (to + untilEnd).copyMemory(from: base, byteCount: destination.count &- untilEnd)
    }
  }

  @inlinable @inline(__always)
  public func copyIn(at offset: UInt32, from source: UnsafeRawBufferPointer) {
    guard let from = source.baseAddress else { return }
    let untilEnd = Int(byteCount &- offset)
    if source.count <= untilEnd {
      unsafe (base + Int(offset)).copyMemory(from: from, byteCount: source.count)
    } else {
      unsafe (base + Int(offset)).copyMemory(from: from, byteCount: untilEnd)
      unsafe base.copyMemory(from: from + untilEnd, byteCount: source.count &- untilEnd)
    }
  }

  @inlinable @inline(__always)
  public func loadWord(at offset: UInt32) -> UInt64 {
    unsafe (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
  }

  @inlinable @inline(__always)
  public func storeWord(_ value: UInt64, at offset: UInt32) {
    unsafe (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(value, ordering: .relaxed)
  }
}

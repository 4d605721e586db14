// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The header page of one ring: the words through which the two ends of a channel talk about its data area.
///
/// Layout (facts: Linux `struct hv_ring_buffer`, and the same page as seen from user space in `tools/hv`):
/// write index u32 @0, read index u32 @4, interrupt mask u32 @8 (owned by the reader), pending send size u32 @12
/// (owned by the writer), feature bits u32 @64. Little-endian, as the machine.
///
/// The peer can change every word at every moment, so all access is atomic, each value is read once into a local, and
/// whoever reads an index checks it (`RingGeometry`) before it becomes an address.
@safe
public struct RingControl {
  /// Bytes of a header page; the data area follows it.
  public static let byteCount = 4096
  /// Feature bit 0: the pending send size is honoured.
  public static let pendingSendSizeFeature: UInt32 = 1

  @usableFromInline let page: UnsafeMutableRawPointer

  /// `page` is 4-byte aligned and stays mapped, 68 bytes at least, for as long as this value or a ring made of it is used.
  @inlinable public init(page: UnsafeMutableRawPointer) {
    unsafe self.page = unsafe page
  }

  @inlinable @inline(__always)
  func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe (page + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  /// Reader's look at the writer's progress. Acquires: pairs with `publishWriteIndex` of the other end.
  @inlinable @inline(__always)
  public var writeIndex: UInt32 { unsafe word(0).pointee.load(ordering: .acquiring) }

  /// Writer's look at the reader's progress. Acquires: pairs with `publishReadIndex`, so that bytes which the reader
  /// has copied out are not overwritten before its copy.
  @inlinable @inline(__always)
  public var readIndex: UInt32 { unsafe word(4).pointee.load(ordering: .acquiring) }

  /// Writer only. Releases the packets in front of it.
  @inlinable @inline(__always)
  public func publishWriteIndex(_ index: UInt32) { unsafe word(0).pointee.store(index, ordering: .releasing) }

  /// Reader only. Releases: the copies out of the ring come before the space is given back.
  @inlinable @inline(__always)
  public func publishReadIndex(_ index: UInt32) { unsafe word(4).pointee.store(index, ordering: .releasing) }

  /// Not 0: the reader does not want to be signalled.
  @inlinable @inline(__always)
  public var interruptMask: UInt32 { unsafe word(8).pointee.load(ordering: .relaxed) }

  /// Reader only.
  @inlinable @inline(__always)
  public func setInterruptMask(_ mask: UInt32) { unsafe word(8).pointee.store(mask, ordering: .relaxed) }

  /// Bytes for which the writer waits; 0 when it does not wait.
  @inlinable @inline(__always)
  public var pendingSendSize: UInt32 { unsafe word(12).pointee.load(ordering: .acquiring) }

  /// Writer only.
  @inlinable @inline(__always)
  public func setPendingSendSize(_ bytes: UInt32) { unsafe word(12).pointee.store(bytes, ordering: .relaxed) }

  @inlinable @inline(__always)
  public var featureBits: UInt32 { unsafe word(64).pointee.load(ordering: .relaxed) }

  /// What the guest does with both rings before it opens a channel: everything 0, the feature bit for the pending send
  /// size set.
  public func initialize() {
    var offset = 0
    while offset < 64 {
      unsafe word(offset).pointee.store(0, ordering: .relaxed)
      offset &+= 4
    }
    unsafe word(64).pointee.store(Self.pendingSendSizeFeature, ordering: .releasing)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A data area made of scattered 4096-byte pages, as the peer's GPADL lists them.
@safe
public struct PagedRingStorage: RingStorage {
  @usableFromInline let pages: UnsafePointer<UnsafeMutableRawPointer>
  public let byteCount: UInt32

  /// `pages` holds `pageCount` pointers to pages; the caller owns the table and keeps it and the pages mapped while
  /// the ring is used. More than 2^19 pages (2 GiB) are no ring: the size then reads 0, which readers and writers refuse.
  @inlinable public init(pages: UnsafePointer<UnsafeMutableRawPointer>, pageCount: Int) {
    unsafe self.pages = unsafe pages
    byteCount = pageCount > 0 && pageCount < 1 << 19 ? UInt32(truncatingIfNeeded: pageCount &<< 12) : 0
  }

  @inlinable @inline(__always)
  public func copyOut(at offset: UInt32, to destination: UnsafeMutableRawBufferPointer) {
    guard let to = destination.baseAddress else { return }
    // Most packets lie in one page.
    if Int(offset & 4095) &+ destination.count <= 4096 {
      unsafe to.copyMemory(from: pages[Int(offset &>> 12)] + Int(offset & 4095), byteCount: destination.count)
      return
    }
    var at = offset
    var done = 0
    while done < destination.count {
      let inPage = Int(at & 4095)
      let count = min(4096 &- inPage, destination.count &- done)
      unsafe (to + done).copyMemory(from: pages[Int(at &>> 12)] + inPage, byteCount: count)
      done &+= count
      at &+= UInt32(truncatingIfNeeded: count)
      if at >= byteCount { at = 0 }
    }
  }

  @inlinable @inline(__always)
  public func copyIn(at offset: UInt32, from source: UnsafeRawBufferPointer) {
    guard let from = source.baseAddress else { return }
    if Int(offset & 4095) &+ source.count <= 4096 {
      unsafe (pages[Int(offset &>> 12)] + Int(offset & 4095)).copyMemory(from: from, byteCount: source.count)
      return
    }
    var at = offset
    var done = 0
    while done < source.count {
      let inPage = Int(at & 4095)
      let count = min(4096 &- inPage, source.count &- done)
      unsafe (pages[Int(at &>> 12)] + inPage).copyMemory(from: from + done, byteCount: count)
      done &+= count
      at &+= UInt32(truncatingIfNeeded: count)
      if at >= byteCount { at = 0 }
    }
  }

  @inlinable @inline(__always)
  func word(at offset: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe (pages[Int(offset &>> 12)] + Int(offset & 4095)).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inlinable @inline(__always)
  public func loadWord(at offset: UInt32) -> UInt64 {
    unsafe word(at: offset).pointee.load(ordering: .relaxed)
  }

  @inlinable @inline(__always)
  public func storeWord(_ value: UInt64, at offset: UInt32) {
    unsafe word(at: offset).pointee.store(value, ordering: .relaxed)
  }
}

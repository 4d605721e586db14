// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import VMBus

/// One run of guest-physical addresses that is backed by RAM.
public struct GuestMemoryRange: Equatable, Sendable {
  /// First guest-physical address, page-aligned.
  public var base: UInt64
  /// Size in bytes, a multiple of the page size.
  public var byteCount: UInt64
  public var end: UInt64 { base &+ byteCount }
}

/// An access to guest memory that does not lie completely in RAM. The address comes from the guest: never a trap.
public enum GuestMemoryError: Error, Equatable, Sendable {
  case outsideRAM(address: UInt64, byteCount: Int)
}

/// The guest's RAM: one anonymous mapping, seen by the guest below and above the 32-bit hole.
///
/// This is the package's only `@unchecked Sendable` type. Why that is sound: the fields are constants; the mapping lives
/// as long as the object; and the bytes are shared with running processors anyway, which may change any byte at any
/// moment. No caller may therefore rely on a byte that it has not copied, whichever thread it is on: `read` copies,
/// `page` hands out an address that is only for atomics, bulk copies and kernel I/O, never for a Swift reference.
@safe public final class GuestMemory: @unchecked Sendable {
  public static let pageSize = 4096
  /// RAM stops here and goes on at 4 GiB: between them lie the VMBus MMIO window, the APICs and KVM's own pages.
  public static let holeBase: UInt64 = 0xF800_0000
  public static let holeEnd: UInt64 = 0x1_0000_0000
  static let hugePage: UInt64 = 2 << 20

  public let byteCount: UInt64
  /// At most two ranges, ascending.
  public let ranges: [GuestMemoryRange]
  let hostBase: UnsafeMutableRawPointer
  private let mapping: UnsafeMutableRawPointer
  private let mappingBytes: Int
  private let lowBytes: UInt64

  /// Reserves address space only; the host gives pages when they are touched first, in 2 MiB pieces where it can.
  public init(byteCount: UInt64) throws(PartitionError) {
    guard byteCount > 0, byteCount % UInt64(Self.pageSize) == 0, let size = Int(exactly: byteCount),
      let reserved = Int(exactly: byteCount + Self.hugePage)
    else { throw .memorySizeNotUsable(byteCount) }
    guard
      let area = unsafe mmap(
        nil, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      unsafe area != MAP_FAILED
    else { throw .system(operation: "reserving \(byteCount >> 20) MiB of guest memory", errno: errno) }
    // Host and guest addresses agree modulo 2 MiB, so that KVM can map 2 MiB at once.
    let start = UInt(bitPattern: area)
    let skip = (UInt(Self.hugePage) &- start % UInt(Self.hugePage)) % UInt(Self.hugePage)
    unsafe mapping = area
    mappingBytes = reserved
    unsafe hostBase = area + Int(skip)
    self.byteCount = byteCount
    lowBytes = min(byteCount, Self.holeBase)
    var ranges = [GuestMemoryRange(base: 0, byteCount: lowBytes)]
    if byteCount > lowBytes { ranges.append(GuestMemoryRange(base: Self.holeEnd, byteCount: byteCount - lowBytes)) }
    self.ranges = ranges
    // Both are advice: without them the guest is slower or a core dump bigger, nothing else.
    _ = unsafe madvise(hostBase, size, MADV_HUGEPAGE)
    _ = unsafe madvise(hostBase, size, MADV_DONTDUMP)
  }

  deinit { unsafe munmap(mapping, mappingBytes) }

  /// The offset in the mapping of `count` bytes of RAM from `address` on, nil if any of them is not RAM.
  @inline(__always) func offset(of address: UInt64, count: Int) -> Int? {
    guard count >= 0 else { return nil }
    let bytes = UInt64(count)
    if address < lowBytes {
      return lowBytes &- address >= bytes ? Int(address) : nil
    }
    guard address >= Self.holeEnd else { return nil }
    let above = address &- Self.holeEnd
    let highBytes = byteCount &- lowBytes
    guard above < highBytes, highBytes &- above >= bytes else { return nil }
    return Int(lowBytes &+ above)
  }

  /// The host's address of guest-physical `address` if `count` bytes from there on are RAM in one piece.
  public func pointer(to address: UInt64, count: Int) -> UnsafeMutableRawPointer? {
    guard let offset = offset(of: address, count: count) else { return nil }
    return unsafe hostBase + offset
  }

  /// The host's address of guest page `frame` (guest-physical address / 4096), nil when that is not RAM.
  public func page(_ frame: UInt64) -> UnsafeMutableRawPointer? {
    guard frame < 1 << 52 else { return nil }
    return unsafe pointer(to: frame << 12, count: Self.pageSize)
  }

  /// Whether guest page `frame` is RAM.
  public func isRAM(page frame: UInt64) -> Bool {
    frame < 1 << 52 && offset(of: frame << 12, count: Self.pageSize) != nil
  }

  /// Copies guest bytes out. The copy is the caller's own; the guest cannot change it any more.
  public func read(
    _ address: UInt64, into destination: UnsafeMutableRawBufferPointer
  ) throws(GuestMemoryError) {
    guard let target = destination.baseAddress, destination.count > 0 else { return }
    guard let source = unsafe pointer(to: address, count: destination.count) else {
      throw .outsideRAM(address: address, byteCount: destination.count)
    }
    unsafe target.copyMemory(from: source, byteCount: destination.count)
  }

  /// Copies `source` into guest memory.
  public func write(_ address: UInt64, from source: UnsafeRawBufferPointer) throws(GuestMemoryError) {
    guard let from = source.baseAddress, source.count > 0 else { return }
    guard let target = unsafe pointer(to: address, count: source.count) else {
      throw .outsideRAM(address: address, byteCount: source.count)
    }
    unsafe target.copyMemory(from: from, byteCount: source.count)
  }

  public func write(_ address: UInt64, _ bytes: [UInt8]) throws(GuestMemoryError) {
    guard let target = unsafe pointer(to: address, count: bytes.count) else {
      throw .outsideRAM(address: address, byteCount: bytes.count)
    }
    unsafe bytes.withUnsafeBytes { source in
      if let from = source.baseAddress, source.count > 0 {
        unsafe target.copyMemory(from: from, byteCount: source.count)
      }
    }
  }

  public func read(_ address: UInt64, count: Int) throws(GuestMemoryError) -> [UInt8] {
    guard let source = unsafe pointer(to: address, count: count) else {
      throw .outsideRAM(address: address, byteCount: count)
    }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: source, count: count))
  }

  /// Gives all pages back to the host; they read as zeros afterwards. Only while no processor runs.
  func discardAll() {
    _ = unsafe madvise(hostBase, Int(byteCount), MADV_DONTNEED)
  }
}

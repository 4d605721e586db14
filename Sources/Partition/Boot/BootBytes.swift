// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Bytes that are loaded into a guest: a file, a part of one, or what was unpacked from one.
protocol BootBytes {
  var byteCount: UInt64 { get }
  /// Reads exactly `destination.count` bytes from byte `position` on.
  func read(at position: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(BootSourceProblem)
}

extension BootBytes {
  func read(at position: UInt64, count: Int) throws(BootSourceProblem) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var problem: BootSourceProblem?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(BootSourceProblem) { try unsafe read(at: position, into: buffer) } catch { problem = error }
    }
    if let problem { throw problem }
    return bytes
  }

  /// What `KernelImage` wants to see.
  func header() throws(BootSourceProblem) -> [UInt8] {
    try read(at: 0, count: Int(min(byteCount, UInt64(KernelImage.headerBytes))))
  }

  func check(_ position: UInt64, _ count: Int) throws(BootSourceProblem) {
    guard position <= byteCount, UInt64(count) <= byteCount - position else {
      throw .init(.truncated(needed: position &+ UInt64(count), available: byteCount))
    }
  }
}

/// A part of something else.
struct BootPart<Whole: BootBytes>: BootBytes {
  let whole: Whole
  let offset: UInt64
  let byteCount: UInt64

  func read(at position: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(BootSourceProblem) {
    try check(position, destination.count)
    try unsafe whole.read(at: offset &+ position, into: destination)
  }
}

/// Pages of its own, given back when this object ends: a restart must not leave holes in the heap.
@safe final class UnpackedBytes: BootBytes, @unchecked Sendable {
  /// Not written any more once the object is made.
  private let buffer: UnsafeMutableRawBufferPointer

  var byteCount: UInt64 { unsafe UInt64(buffer.count) }

  /// nil: `fill` failed.
  init?(byteCount: Int, fill: (UnsafeMutableRawBufferPointer) -> Bool) {
    let pages = unsafe mmap(nil, max(byteCount, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard unsafe pages != MAP_FAILED else { return nil }
    // One fault for 2 MiB, not for 4 KiB; where that cannot be had it is no matter.
    _ = unsafe madvise(pages, max(byteCount, 1), MADV_HUGEPAGE)
    unsafe buffer = UnsafeMutableRawBufferPointer(start: pages, count: byteCount)
    guard unsafe fill(buffer) else { return nil }
  }

  deinit { unsafe munmap(buffer.baseAddress, max(buffer.count, 1)) }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe body(UnsafeRawBufferPointer(buffer))
  }

  /// The little-endian word at 4 × `index`, which must be there.
  func word(_ index: Int) -> UInt32 {
    UInt32(littleEndian: unsafe buffer.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
  }

  func read(at position: UInt64, into destination: UnsafeMutableRawBufferPointer) throws(BootSourceProblem) {
    try check(position, destination.count)
    guard destination.count > 0 else { return }
    let part = Int(position)..<Int(position) + destination.count
    unsafe destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[part]))
  }
}

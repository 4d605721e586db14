// SPDX-License-Identifier: Apache-2.0

import Glibc
import ServiceClients
import ServiceProviders
import VMBus

/// A guest's memory: one run of pages from frame `firstFrame` on, handed out in order.
@safe final class BenchMemory: NetworkMemory {
  static let firstFrame: UInt64 = 0x1000
  let base: UnsafeMutableRawPointer
  private let byteCount: Int
  private var next = 0

  init(pages: Int) {
    byteCount = pages << 12
    unsafe base = .allocate(byteCount: byteCount, alignment: 4096)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
  }

  deinit { unsafe base.deallocate() }

  /// Page numbers.
  func take(_ pages: Int) -> [UInt64] {
    defer { next += pages }
    precondition((next + pages) << 12 <= byteCount, "more memory is used than there is")
    return (next..<next + pages).map { Self.firstFrame + UInt64($0) }
  }

  @inline(__always)
  func pointer(to address: UInt64, count: Int) -> UnsafeMutableRawPointer? {
    let first = Self.firstFrame << 12
    guard address >= first, let offset = Int(exactly: address - first), offset <= byteCount - count else { return nil }
    return unsafe base + offset
  }

  func pointer(toFrame frame: UInt64) -> UnsafeMutableRawPointer {
    unsafe base + Int(frame - Self.firstFrame) << 12
  }

  func read(_ address: UInt64, into bytes: inout MutableRawSpan) -> Bool {
    let count = bytes.byteCount
    guard let source = unsafe pointer(to: address, count: count) else { return false }
    unsafe bytes.withUnsafeMutableBytes {
      unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: source, count: count))
    }
    return true
  }

  func write(_ address: UInt64, from bytes: RawSpan) -> Bool {
    guard let target = unsafe pointer(to: address, count: bytes.byteCount) else { return false }
    unsafe bytes.withUnsafeBytes {
      if let source = $0.baseAddress { unsafe target.copyMemory(from: source, byteCount: $0.count) }
    }
    return true
  }
}

/// The receive buffer, whose pages lie in a row.
struct BenchReceiveBuffer: NetworkReceiveBuffer {
  let memory: BenchMemory
  let first: UInt64

  func copy(at offset: UInt32, into bytes: inout MutableRawSpan) {
    _ = memory.read(first << 12 + UInt64(offset), into: &bytes)
  }
}

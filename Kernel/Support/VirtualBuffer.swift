// SPDX-License-Identifier: Apache-2.0

import CKernel

/// Bytes that are in one piece for the processor only: for large tables. Making it sleeps, and so does its end.
@safe
public struct VirtualBuffer: ~Copyable {
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int

  /// `nil`: no memory.
  public init?(byteCount: Int) {
    guard byteCount > 0, let memory = unsafe ks_virtual_allocate(byteCount) else { return nil }
    unsafe base = unsafe memory
    self.byteCount = byteCount
  }

  public var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
  }

  deinit { unsafe ks_virtual_free(base) }
}

// SPDX-License-Identifier: Apache-2.0

import CKernel

/// Bytes in the kernel's memory, zeroed, owned.
@safe
public struct KernelBuffer: ~Copyable {
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int

  /// In one piece, up to some 100 KiB with any hope. `nil`: no memory.
  public init?(byteCount: Int, _ mode: AllocationMode = .maySleep) {
    guard byteCount > 0, let memory = unsafe ks_allocate(byteCount, mode.isAtomic) else { return nil }
    unsafe base = unsafe memory
    self.byteCount = byteCount
  }

  public var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
  }

  deinit { unsafe ks_free(base) }
}

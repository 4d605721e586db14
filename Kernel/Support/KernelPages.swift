// SPDX-License-Identifier: Apache-2.0

import CKernel

/// Whole pages that follow each other in physical memory too, zeroed, owned: what is shared with the host.
@safe
public struct KernelPages: ~Copyable {
  public let base: UnsafeMutableRawPointer
  private let order: UInt32

  /// 2^`order` pages. `nil`: no memory.
  public init?(order: UInt32 = 0, _ mode: AllocationMode = .maySleep) {
    guard order <= 10, let memory = unsafe ks_pages_allocate(order, mode.isAtomic) else { return nil }
    unsafe base = unsafe memory
    self.order = order
  }

  public var byteCount: Int { 4096 << Int(truncatingIfNeeded: order) }
  /// Guest physical address of the first byte.
  public var physicalAddress: UInt64 { unsafe ks_physical(base) }
  public var firstFrame: UInt64 { physicalAddress >> 12 }

  public var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
  }

  deinit { unsafe ks_pages_free(base, order) }
}

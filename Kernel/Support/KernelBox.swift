// SPDX-License-Identifier: Apache-2.0

import CKernel

/// One value in the kernel's memory, owned: what a class would be, if the kernel had them. Ends with its owner, or is
/// handed to C as a pointer (`intoPointer`) and taken back later.
@safe @frozen
public struct KernelBox<Value: ~Copyable>: ~Copyable {
  @usableFromInline let base: UnsafeMutablePointer<Value>

  /// `nil`: no memory; the value has been ended then.
  public init?(_ value: consuming Value, _ mode: AllocationMode = .maySleep) {
    guard let memory = unsafe ks_allocate(MemoryLayout<Value>.stride, mode.isAtomic) else { return nil }
    unsafe base = unsafe memory.bindMemory(to: Value.self, capacity: 1)
    unsafe base.initialize(to: value)
  }

  /// Takes back what `intoPointer` gave away. Once.
  @unsafe
  public init(pointer: UnsafeMutableRawPointer) {
    unsafe base = unsafe pointer.assumingMemoryBound(to: Value.self)
  }

  /// For the `void *` of a device or a callback. Whoever has it owns the value.
  public consuming func intoPointer() -> UnsafeMutableRawPointer {
    let pointer = unsafe UnsafeMutableRawPointer(base)
    discard self
    return unsafe pointer
  }

  /// Lasts as long as the box.
  public var pointer: UnsafeMutablePointer<Value> { unsafe base }

  @inlinable
  public var value: Value {
    _read { yield unsafe base.pointee }
    _modify { yield unsafe &base.pointee }
  }

  deinit {
    unsafe base.deinitialize(count: 1)
    unsafe ks_free(base)
  }
}

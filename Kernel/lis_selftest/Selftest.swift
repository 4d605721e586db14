// SPDX-License-Identifier: Apache-2.0

import CKernel
import KernelSupport
import VMBus

// A module that tests load, and nobody else: it traps on purpose, wherever Swift may run.

/// A value that counts its end in a global.
struct Counted: ~Copyable {
  var number: UInt64
  deinit { unsafe ended &+= 1 }
}

nonisolated(unsafe) var ended: UInt32 = 0
nonisolated(unsafe) var lock: UnsafeMutablePointer<SpinLock>? = nil
nonisolated(unsafe) var box: UnsafeMutableRawPointer? = nil

/// Reads one past the end when the index says so.
@inline(never)
func element(_ index: Int) -> UInt32 {
  let numbers = InlineArray<4, UInt32>(repeating: 7)
  return numbers.span[index]
}

/// 7 for an index below 4.
@c(selftest_element)
public func selftestElement(_ index: Int) -> UInt32 { element(index) }

/// The sum of 32-bit numbers, which traps when it is too large.
@c(selftest_sum)
public func selftestSum(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32) -> UInt32 { a + b + c + d }

/// The same with a lock held.
@c(selftest_locked)
public func selftestLocked(_ index: Int) -> UInt32 {
  guard let lock = unsafe lock else { return 0 }
  return unsafe lock.pointee.withLock { element(index) }
}

/// Memory, ends, lines: 0 when all is as it should be, otherwise the number of the step.
@c(selftest_start)
public func selftestStart() -> Int32 {
  guard let made = SpinLock(), let boxed = KernelBox(made) else { return 1 }
  unsafe lock = boxed.pointer
  unsafe box = unsafe boxed.intoPointer()
  do {
    guard let counted = KernelBox(Counted(number: 5)) else { return 2 }
    guard counted.value.number == 5, unsafe ended == 0 else { return 3 }
  }
  guard unsafe ended == 1 else { return 4 }
  guard let pages = KernelPages(order: 1), pages.byteCount == 8192 else { return 5 }
  guard pages.physicalAddress != 0, pages.physicalAddress & 4095 == 0 else { return 6 }
  guard let done = Completion(), !done.wait(milliseconds: 1) else { return 7 }
  done.signal()
  guard done.wait(milliseconds: 0) else { return 8 }
  var line = LogLine("line ")
  line.decimal(1234567890 as UInt32)
  line.byte(0x20)
  line.hex(0xC0FFEE, digits: 8)
  line.byte(0x20)
  line.version(.v5_3)
  line.emit()
  return 0
}

/// Work that traps, and what is called in its place.
@c(selftest_work)
public func selftestWork() -> Int32 {
  guard let done = Completion(), let boxed = KernelBox(done) else { return 1 }
  guard
    let work = unsafe WorkItem(
      context: boxed.pointer, run: { context in _ = unsafe element(context == nil ? 0 : 99) },
      trapped: { context in
        guard let context = unsafe context else { return }
        unsafe context.assumingMemoryBound(to: Completion.self).pointee.signal()
      })
  else { return 2 }
  work.schedule()
  return boxed.value.wait(milliseconds: 5000) ? 0 : 3
}

@c(selftest_stop)
public func selftestStop() {
  unsafe lock = nil
  if let pointer = unsafe box { _ = unsafe KernelBox<SpinLock>(pointer: pointer) }
  unsafe box = nil
}

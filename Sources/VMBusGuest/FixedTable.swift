// SPDX-License-Identifier: Apache-2.0

/// A table of fixed size in memory that somebody else owns. Not an `InlineArray` in the client: the compiler copies
/// those to the stack, whole, for a look at one element (6 KiB frames, measured with Swift 6.3.1), and a kernel's stack
/// has 16 KiB.
@safe
struct FixedTable<Element>: ~Copyable {
  let capacity: Int
  private let base: UnsafeMutablePointer<Element>

  static func byteCount(capacity: Int) -> Int { MemoryLayout<Element>.stride &* max(capacity, 0) }

  /// `memory` holds `byteCount(capacity:)` bytes, aligned for the element, until the table is used no more. Elements
  /// must need no end: nobody deinitialises them.
  init(memory: UnsafeMutableRawPointer, capacity: Int, repeating element: Element) {
    self.capacity = max(capacity, 0)
    unsafe base = unsafe memory.initializeMemory(as: Element.self, repeating: element, count: max(capacity, 0))
  }

  /// `index` is below the capacity: it comes from a loop of ours, never from the host.
  subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < capacity)
      return unsafe base[index]
    }
    nonmutating _modify {
      precondition(index >= 0 && index < capacity)
      yield unsafe &base[index]
    }
  }
}

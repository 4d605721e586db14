// SPDX-License-Identifier: Apache-2.0

/// What a channel's host has to answer yet, in memory that the shell gives: nothing is allocated per request.
///
/// Transaction ids are slot, use and opening, never 0 and below 2^48; so an answer is matched to the request that it belongs
/// to and no other, whatever the host sends.
@safe
struct RequestTable<Element: BitwiseCopyable>: ~Copyable {
  private struct Slot {
    var isOutstanding = false
    var next: UInt16
    var uses: UInt16 = 0
    var element: Element
  }

  private(set) var outstanding = 0
  let capacity: Int
  private let slots: UnsafeMutablePointer<Slot>
  private var free: UInt16 = 0
  private var opening: UInt16 = 0

  private static var end: UInt16 { .max }

  static func byteCount(capacity: Int) -> Int { MemoryLayout<Slot>.stride &* capacity }

  /// `memory` is `byteCount` bytes, aligned to 16, that stay until the table is used no more. `capacity` is below 65535.
  init(memory: UnsafeMutableRawPointer, capacity: Int, repeating element: Element) {
    precondition(capacity > 0 && capacity < 65535)
    self.capacity = capacity
    unsafe slots = memory.initializeMemory(
      as: Slot.self, repeating: Slot(next: Self.end, element: element), count: capacity)
    for index in 0..<(capacity &- 1) { unsafe slots[index].next = UInt16(truncatingIfNeeded: index &+ 1) }
  }

  var isFull: Bool { free == Self.end }

  /// The channel was opened again: ids of the opening before are nobody's.
  mutating func reopen() { opening &+= 1 }

  /// A new request. The result is its transaction id; nil: the table is full.
  mutating func begin(_ element: Element) -> UInt64? {
    guard free != Self.end else { return nil }
    let index = Int(free)
    free = unsafe slots[index].next
    unsafe slots[index].isOutstanding = true
    unsafe slots[index].uses &+= 1
    unsafe slots[index].element = element
    outstanding &+= 1
    return id(of: index)
  }

  /// Ends a request. nil: the id is none's.
  mutating func end(_ id: UInt64) -> Element? {
    let index = Int(truncatingIfNeeded: id & 0xFFFF) &- 1
    guard index >= 0, index < capacity, unsafe slots[index].isOutstanding, id == self.id(of: index) else { return nil }
    return end(at: index)
  }

  /// Ends some request; nil when none is left.
  mutating func endAny() -> Element? {
    guard outstanding > 0 else { return nil }
    for index in 0..<capacity where unsafe slots[index].isOutstanding { return end(at: index) }
    return nil
  }

  private mutating func end(at index: Int) -> Element {
    unsafe slots[index].isOutstanding = false
    unsafe slots[index].next = free
    free = UInt16(truncatingIfNeeded: index)
    outstanding &-= 1
    return unsafe slots[index].element
  }

  /// Slot + 1 in bits 0–15, which use of it in 16–31, which opening in 32–47.
  private func id(of index: Int) -> UInt64 {
    unsafe UInt64(truncatingIfNeeded: index &+ 1) | UInt64(slots[index].uses) &<< 16 | UInt64(opening) &<< 32
  }
}

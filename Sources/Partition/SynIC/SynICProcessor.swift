// SPDX-License-Identifier: Apache-2.0

import HostSystem
import Synchronization
import VMBus

/// The synthetic interrupt controller of one virtual processor: where its pages are, what waits for them.
///
/// KVM owns the registers and tells us when the guest changes them; the pages are written here, from any thread, under
/// this object's lock, so that a page cannot go away (by a register write, which waits in its processor's exit) while it
/// is being written.
final class SynICProcessor: Sendable {
  struct State {
    var enabled = false
    /// Guest-physical addresses, nil while disabled.
    var messagePage: UInt64?
    var eventPage: UInt64?
    /// Events that came while there was no event page.
    var waiting = InlineArray<32, UInt64>(repeating: 0)
    var anyWaiting = false
    /// A message was refused and its owner wants to hear when to try again.
    var slotWanted = false
  }

  enum PostResult {
    case delivered
    /// The guest reports by EOM when the slot is free.
    case busy
    /// No page: a register write will follow.
    case offline
  }

  let index: Int
  /// eventfd that raises SINT2.
  let interrupt: EventDescriptor
  /// eventfd that KVM signals at EOM, and at the end of each SINT2 interrupt.
  let endOfMessage: EventDescriptor
  private let memory: GuestMemory
  private let state = Mutex(State())

  init(index: Int, memory: GuestMemory) throws(PartitionError) {
    self.index = index
    self.memory = memory
    interrupt = try EventDescriptor.forPartition()
    endOfMessage = try EventDescriptor.forPartition()
  }

  /// `payload` has at most 240 bytes.
  func post(_ payload: RawSpan) -> PostResult {
    precondition(payload.byteCount <= MessageBuffer.capacity, "a message has at most 240 bytes")
    let result = state.withLock { state -> PostResult in
      guard state.enabled, let address = state.messagePage, let page = unsafe memory.page(address >> 12) else {
        state.slotWanted = true
        return .offline
      }
      let slot = unsafe MessageSlot(page: page)
      // What KVM reported of earlier messages is not about the one that is in the way now.
      if slot.type != 0 { endOfMessage.drain() }
      if slot.deliver(payload: payload) { return .delivered }
      state.slotWanted = true
      return .busy
    }
    if case .delivered = result { interrupt.signal() }
    return result
  }

  func signal(flag: UInt32) {
    guard flag < SynIC.flagCount else { return }
    let raise = state.withLock { state -> Bool in
      guard state.enabled, let address = state.eventPage, let page = unsafe memory.page(address >> 12) else {
        state.waiting[Int(flag / 64)] |= 1 << UInt64(flag % 64)
        state.anyWaiting = true
        return false
      }
      return unsafe EventFlags(page: page).set(flag)
    }
    if raise { interrupt.signal() }
  }

  /// The guest wrote a SynIC register (KVM_EXIT_HYPERV_SYNIC). True: a refused message may be tried again.
  ///
  /// SINT2 is unmasked by a register that does not exit, between the pages and the control register: what came before it
  /// was unmasked is raised again here, at the control register's write.
  func registersChanged(control: UInt64, eventPage: UInt64, messagePage: UInt64) -> Bool {
    let (raise, retry) = state.withLock { state -> (Bool, Bool) in
      state.enabled = control & 1 != 0
      state.messagePage = messagePage & 1 != 0 ? messagePage & ~0xFFF : nil
      state.eventPage = eventPage & 1 != 0 ? eventPage & ~0xFFF : nil
      guard state.enabled else { return (false, false) }
      var raise = false
      if let address = state.eventPage, let page = unsafe memory.page(address >> 12) {
        raise = true
        if state.anyWaiting {
          let flags = unsafe EventFlags(page: page)
          for flag in 0..<SynIC.flagCount where state.waiting[Int(flag / 64)] & 1 << UInt64(flag % 64) != 0 {
            flags.set(flag)
          }
          state.waiting = InlineArray(repeating: 0)
          state.anyWaiting = false
        }
      }
      var retry = false
      if let address = state.messagePage, let page = unsafe memory.page(address >> 12) {
        let free = unsafe MessageSlot(page: page).type == 0
        if !free { raise = true }
        retry = free && state.slotWanted
        if retry { state.slotWanted = false }
      }
      return (raise, retry)
    }
    if raise { interrupt.signal() }
    return retry
  }

  /// True once per refused message, when its owner should try again.
  func takeSlotWanted() -> Bool {
    state.withLock { state in
      defer { state.slotWanted = false }
      return state.slotWanted
    }
  }

  /// Forgets everything, as after power-on.
  func reset() {
    state.withLock { $0 = State() }
    interrupt.drain()
    endOfMessage.drain()
  }
}

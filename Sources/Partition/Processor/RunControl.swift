// SPDX-License-Identifier: Apache-2.0

import CLinux
import HostSystem
import Synchronization

/// Tells the processor threads to run, to park or to end, and waits until they have parked.
final class RunControl: Sendable {
  enum Order: Equatable, Sendable {
    case run
    case park
    case exit
  }

  private struct State {
    var order = Order.park
    /// One bit a processor, in each.
    var parked: UInt64 = 0
    var running: UInt64 = 0
    var threads: [UInt] = []
    var end: PartitionEnd?
    /// A reset is under way: how the guest ends now is of no interest.
    var discardsEnd = false
  }

  private let state = Mutex(State())
  private let allParked: EventDescriptor
  private let allRunning: EventDescriptor
  private let wakes: [Wake]
  private let everyone: UInt64

  /// An eventfd per processor; a class because arrays hold only copyable things.
  private final class Wake: Sendable {
    let event: EventDescriptor
    init() throws(PartitionError) { event = try EventDescriptor.forPartition() }
  }

  init(processors: Int) throws(PartitionError) {
    allParked = try EventDescriptor.forPartition()
    allRunning = try EventDescriptor.forPartition()
    var wakes: [Wake] = []
    for _ in 0..<processors { wakes.append(try Wake()) }
    self.wakes = wakes
    everyone = (1 << UInt64(processors)) - 1
  }

  // MARK: for the owner

  func adopt(threads: [UInt]) { state.withLock { $0.threads = threads } }

  /// Why the guest ended, nil while it has not.
  var end: PartitionEnd? { state.withLock { $0.end } }
  func clearEnd() {
    state.withLock {
      $0.end = nil
      $0.discardsEnd = false
    }
  }

  /// Returns when every processor is parked.
  func park(discardingEnd: Bool = false) {
    if discardingEnd { state.withLock { $0.discardsEnd = true } }
    kick(order: .park)
    while state.withLock({ $0.parked != everyone }) { allParked.wait() }
  }

  /// Returns when every processor is on its way into the guest, or there is another order already. The guest goes first:
  /// what the caller does next would only take time from it where there are few host processors.
  func run() {
    state.withLock { $0.order = .run }
    for wake in wakes { wake.event.signal() }
    while state.withLock({ $0.order == .run && $0.running != everyone }) { allRunning.wait() }
  }

  /// The threads leave their loops; join them next.
  func exit() {
    kick(order: .exit)
    for wake in wakes { wake.event.signal() }
  }

  private func kick(order: Order) {
    let threads = state.withLock { state in
      state.order = order
      return state.threads
    }
    for thread in threads { clinux_kick(thread) }
    allRunning.signal()
  }

  // MARK: for the processors' threads

  /// Waits until there is something to do; false: the thread is to end.
  func obey(_ processor: Int) -> Bool {
    let bit: UInt64 = 1 << UInt64(processor)
    while true {
      let (order, last) = state.withLock { state -> (Order, Bool) in
        switch state.order {
        case .exit:
          state.parked &= ~bit
          return (.exit, false)
        case .run:
          state.parked &= ~bit
          return (.run, completes(&state.running, with: bit))
        case .park:
          state.running &= ~bit
          return (.park, completes(&state.parked, with: bit))
        }
      }
      switch order {
      case .run:
        if last { allRunning.signal() }
        return true
      case .exit: return false
      case .park:
        if last { allParked.signal() }
        wakes[processor].event.wait()
      }
    }
  }

  /// Enters a processor; whether it was the last that was missing.
  private func completes(_ processors: inout UInt64, with bit: UInt64) -> Bool {
    let before = processors
    processors |= bit
    return before != everyone && processors == everyone
  }

  /// A processor met the guest's end, perhaps while it was to be paused. True for the first one, which reports it.
  func end(_ end: PartitionEnd) -> Bool {
    let first = state.withLock { state -> Bool in
      guard state.end == nil, !state.discardsEnd, state.order != .exit else { return false }
      state.end = end
      return true
    }
    if first { kick(order: .park) }
    return first
  }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing
import VMBus

/// Host and guest on two threads, over one page.
@Suite struct SynICRaceTests {
  /// The host sleeps on nothing but the end-of-message that it asked for, the guest on nothing but messages. A message
  /// lost, doubled or torn, or an end-of-message that was asked for and not written, ends this test.
  @Test(.timeLimit(.minutes(2))) func noMessageIsLostBetweenTwoThreads() throws {
    let count: UInt64 = 30_000
    let memory = SharedPage()
    let endsOfMessage = Atomic<UInt64>(0)
    let received = Mutex<[UInt64]>([])
    let guest = Thread {
      let slot = memory.slot
      var next: UInt64 = 0
      while next < count {
        guard slot.type == 1 else { continue }
        let words = (try? slot.copyPayload()).map { copy in
          (0..<30).compactMap { try? copy.bytes.read(UInt64.self, at: $0 * 8) }
        }
        if words != [UInt64](repeating: next, count: 30) { received.withLock { $0.append(next) } }
        next += 1
        if slot.release() { endsOfMessage.add(1, ordering: .sequentiallyConsistent) }
      }
      received.withLock { $0.append(.max) }
    }
    guest.start()

    let slot = memory.slot
    var refusals: UInt64 = 0
    for number in 0..<count {
      let payload = [UInt64](repeating: number, count: 30)
      while true {
        let seen = endsOfMessage.load(ordering: .sequentiallyConsistent)
        if unsafe slot.deliver(payload: payload.span.bytes) { break }
        refusals += 1
        // Not a loop over the slot: whoever waits here without an end-of-message waits for ever.
        while endsOfMessage.load(ordering: .sequentiallyConsistent) == seen {}
      }
    }
    while received.withLock({ $0.last != .max }) { Thread.sleep(forTimeInterval: 0.001) }
    #expect(received.withLock { $0 } == [.max], "messages lost, doubled or torn")
    #expect(refusals > 0)
  }

  /// Every flag that is set is seen, and every interrupt that the guest needs for it is raised.
  @Test(.timeLimit(.minutes(2))) func noFlagIsLostBetweenTwoThreads() {
    let rounds: UInt64 = 100_000
    let memory = SharedPage()
    // What a ring would hold: set before the flag, looked at after it.
    let published = Atomic<UInt64>(0)
    let seen = Atomic<UInt64>(0)
    let interrupts = Atomic<UInt64>(0)
    let guest = Thread {
      let flags = memory.flags
      var handled: UInt64 = 0
      while seen.load(ordering: .acquiring) < rounds {
        let raised = interrupts.load(ordering: .sequentiallyConsistent)
        if raised == handled { continue }
        handled = raised
        if flags.take(word: 3) & 1 << 9 != 0 {
          seen.store(published.load(ordering: .acquiring), ordering: .releasing)
        }
      }
    }
    guest.start()
    let flags = memory.flags
    for round in 1...rounds {
      published.store(round, ordering: .releasing)
      if flags.set(3 * 64 + 9) { interrupts.add(1, ordering: .sequentiallyConsistent) }
    }
    while seen.load(ordering: .acquiring) < rounds { Thread.sleep(forTimeInterval: 0.001) }
  }
}

/// A page that two threads share: the point of the test.
@safe private final class SharedPage: Sendable {
  private let address: UInt

  init() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
    address = UInt(bitPattern: memory)
  }

  deinit { unsafe base.deallocate() }

  private var base: UnsafeMutableRawPointer {
    guard let base = unsafe UnsafeMutableRawPointer(bitPattern: address) else { preconditionFailure("an address") }
    return unsafe base
  }
  var slot: MessageSlot { unsafe MessageSlot(page: base) }
  var flags: EventFlags { unsafe EventFlags(page: base) }
}

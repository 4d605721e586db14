// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostSystem
import Synchronization
import Testing

@testable import Partition

@Suite(.timeLimit(.minutes(1))) struct RunControlTests {
  private final class Flag: Sendable { let isSet = Atomic(false) }

  /// A thread in a processor's place: `body` is its time in the guest.
  private static func processor(
    _ index: Int, _ control: RunControl, _ body: @escaping @Sendable () -> Void = { usleep(50) }
  ) throws -> DedicatedThread {
    try DedicatedThread(name: "test-vp\(index)") { while control.obey(index) { body() } }
  }

  @Test func runningMeansThatEveryProcessorRuns() throws {
    let control = try RunControl(processors: 2)
    let slow = Flag()
    let first = try Self.processor(0, control)
    let second = try DedicatedThread(name: "test-vp1") {
      usleep(50_000)
      slow.isSet.store(true, ordering: .releasing)
      while control.obey(1) { usleep(50) }
    }
    control.run()
    let wasThere = slow.isSet.load(ordering: .acquiring)
    #expect(wasThere)
    control.exit()
    first.join()
    second.join()
  }

  @Test func ordersFollowEachOther() throws {
    let control = try RunControl(processors: 4)
    let threads = try (0..<4).map { try Self.processor($0, control) }
    for _ in 0..<500 {
      control.run()
      control.park()
    }
    control.run()
    control.exit()
    for thread in threads { thread.join() }
  }

  @Test func aGuestThatEndsAtOnceIsNotWaitedFor() throws {
    for _ in 0..<100 {
      let control = try RunControl(processors: 3)
      let threads = try (0..<3).map { index in
        try Self.processor(index, control) { if index == 0 { _ = control.end(.powerOff) } }
      }
      control.run()
      control.park()
      #expect(control.end == .powerOff)
      control.exit()
      for thread in threads { thread.join() }
    }
  }
}

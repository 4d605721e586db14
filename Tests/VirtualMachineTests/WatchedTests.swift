// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import VirtualMachine

@Suite(.timeLimit(.minutes(1))) struct WatchedTests {
  @Test func eachWaiterIsWokenByItsOwnCondition() async {
    let number = Watched(0)
    await withTaskGroup(of: (Int, Bool).self) { group in
      for limit in 1...20 { group.addTask { (limit, await number.wait { $0 >= limit }) } }
      for _ in 0..<20 {
        number.update { $0 += 1 }
        await Task.yield()
      }
      for await (limit, met) in group { #expect(met, "\(limit)") }
    }
  }

  @Test func aConditionThatHoldsDoesNotWait() async {
    let number = Watched(5)
    #expect(await number.wait { $0 == 5 })
    #expect(await number.wait(upTo: .seconds(30)) { $0 == 5 })
  }

  @Test func aCancelledWaitEnds() async {
    let number = Watched(0)
    for early in [true, false] {
      let task = Task { await number.wait { $0 == 1 } }
      if !early { for _ in 0..<100 { await Task.yield() } }
      task.cancel()
      #expect(await task.value == false)
    }
    // Those that were given up are not in the way of others.
    let task = Task { await number.wait { $0 == 1 } }
    number.update { $0 = 1 }
    #expect(await task.value)
  }

  @Test func aLimitIsKept() async {
    let number = Watched(0)
    #expect(await number.wait(upTo: .milliseconds(20)) { $0 == 1 } == false)
    number.update { $0 = 1 }
    #expect(await number.wait(upTo: .milliseconds(20)) { $0 == 1 })
  }
}

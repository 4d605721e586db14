// SPDX-License-Identifier: Apache-2.0

import BusWalk
import Testing
import VMBus
import VMBusHost

/// Issue 2 asks for at least 10^6 steps of the bus under a random schedule, with checked invariants.
@Suite struct RandomWalkTests {
  /// Eight versions, two kinds of guests, and this many steps each.
  static let steps = 65_000

  /// An optimised build checks both machines after every step.
  #if DEBUG
    static let invariantInterval = 8
  #else
    static let invariantInterval = 1
  #endif

  static let versions: [ProtocolVersion] = [.v5_3, .v5_2, .v5_1, .v5_0, .v4_1, .v4_0, .v3_0, .v2_4]

  /// A guest of good will, and a host that takes devices away whenever it likes: every question is answered, and when
  /// all is quiet both ends agree about every channel.
  @Test(arguments: versions) func honestGuest(_ version: ProtocolVersion) throws {
    var walk = BusWalk(
      decisions: RandomDecisions(seed: UInt64(version.rawValue)), maximumVersion: version, isHostile: false,
      invariantInterval: Self.invariantInterval)
    for step in 1...Self.steps {
      if let problem = walk.step() ?? (step % 50 == 0 ? walk.settle() : nil) {
        Issue.record("step \(step) at \(version): \(problem)")
        return
      }
    }
    walk.expectEffort(steps: Self.steps)
  }

  /// A guest that sends anything at all: nothing traps, no invariant breaks, and a contact makes a fresh start.
  @Test(arguments: versions) func hostileGuest(_ version: ProtocolVersion) throws {
    var walk = BusWalk(
      decisions: RandomDecisions(seed: ~UInt64(version.rawValue)), maximumVersion: version, isHostile: true,
      invariantInterval: Self.invariantInterval)
    for step in 1...Self.steps {
      if let problem = walk.step() {
        Issue.record("step \(step) at \(version): \(problem)")
        return
      }
    }
    walk.expectEffort(steps: Self.steps)
    // It met every refusal but two that want more luck, and have tests of their own.
    let never = BusRefusal.allCases.filter { walk.host.server.count(of: $0) == 0 }
    #expect(Set(never).isSubset(of: [.ringNotPages, .unusableTarget]))
    #expect(walk.freshStart() == nil)
  }
}

extension BusWalk {
  /// The walk did not stand still.
  func expectEffort(steps: Int) {
    #expect(host.posted > steps / 4)
    #expect(host.openings > steps / 400)
  }
}

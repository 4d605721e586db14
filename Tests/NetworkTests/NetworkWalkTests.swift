// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import NetworkWalk
import Testing

@Suite struct NetworkWalkTests {
  static let steps = 20_000

  /// A guest of good will.
  @Test(arguments: versions) func honestGuest(_ version: NVSPVersion) {
    var walk = NetworkWalk(
      decisions: RandomDecisions(seed: UInt64(version.rawValue)), version: version, isHostile: false)
    for step in 1...Self.steps {
      if let problem = walk.step() ?? (step % 1000 == 0 ? walk.settle() : nil) {
        Issue.record("step \(step) at \(version): \(problem)")
        return
      }
    }
    #expect(walk.settle() == nil)
    // The walk did not stand still.
    #expect(walk.sent > Self.steps / 40 && walk.received > Self.steps / 40, "\(walk.sent), \(walk.received)")
    #expect(walk.openings > 20, "\(walk.openings)")
    #expect((walk.coalesced > 0) == (version == .v6_1))
  }

  /// A guest that also sends anything at all: every packet that wants an answer gets exactly one, frames are unharmed.
  @Test(arguments: versions) func hostileGuest(_ version: NVSPVersion) {
    var walk = NetworkWalk(
      decisions: RandomDecisions(seed: ~UInt64(version.rawValue)), version: version, isHostile: true)
    for step in 1...Self.steps {
      if let problem = walk.step() ?? (step % 1000 == 0 ? walk.settle() : nil) {
        Issue.record("step \(step) at \(version): \(problem)")
        return
      }
    }
    #expect(walk.settle() == nil)
    #expect(walk.sent > Self.steps / 80 && walk.received > Self.steps / 80, "\(walk.sent), \(walk.received)")
  }
}

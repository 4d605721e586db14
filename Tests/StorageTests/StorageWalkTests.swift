// SPDX-License-Identifier: Apache-2.0

import BusWalk
import DeviceProtocols
import ServiceProviders
import StorageWalk
import Testing

@Suite struct StorageWalkTests {
  /// 10^5 and more, over three versions and two kinds of guest.
  static let steps = 40_000
  static let versions: [StorageVersion] = [.v6_2, .v6_0, .v5_1]

  /// A guest of good will: every request ends exactly once, every sector holds what was last written.
  @Test(arguments: versions) func honestGuest(_ version: StorageVersion) {
    var walk = StorageWalk(
      decisions: RandomDecisions(seed: UInt64(version.rawValue)), maximumVersion: version, isHostile: false)
    for step in 1...Self.steps {
      if let problem = walk.step() ?? (step % 2000 == 0 ? walk.settle() : nil) {
        Issue.record("step \(step) at \(version): \(problem)")
        return
      }
    }
    #expect(walk.settle() == nil)
    // The walk did not stand still.
    #expect(walk.guest.completed > Self.steps / 20)
    #expect(walk.guest.successes > Self.steps / 40)
    #expect(walk.guest.rescans > 100 && walk.guest.resets > 50 && walk.host.ejections > 5)
    #expect(walk.host.provider.version == nil || walk.host.provider.version == version)
  }

  /// A guest that also sends anything at all: every packet that wants an answer gets exactly one.
  @Test(arguments: versions) func hostileGuest(_ version: StorageVersion) {
    var walk = StorageWalk(
      decisions: RandomDecisions(seed: ~UInt64(version.rawValue)), maximumVersion: version, isHostile: true)
    for step in 1...Self.steps {
      if let problem = walk.step() ?? (step % 2000 == 0 ? walk.settle() : nil) {
        Issue.record("step \(step) at \(version): \(problem)")
        return
      }
    }
    #expect(walk.settle() == nil)
    #expect(walk.guest.completed > Self.steps / 40)
  }
}

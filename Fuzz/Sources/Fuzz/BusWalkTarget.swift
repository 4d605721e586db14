// SPDX-License-Identifier: Apache-2.0

import BusWalk
import VMBus

/// Both ends of the bus on each other, with a hostile guest between them, under a schedule of the fuzzer's: the walk of
/// `BusTests`, which checks both machines and the account of the host's owner after every step.
enum BusWalkTarget {
  static func run(_ script: inout Script) {
    let version = ProtocolVersion.supported(at: script.choice(ProtocolVersion.supportedCount)) ?? .v5_3
    let isHostile = !script.oneIn(4)
    var walk = BusWalk(decisions: ScriptDecisions(script: script), maximumVersion: version, isHostile: isHostile)
    while !walk.decisions.script.isEmpty {
      if let problem = walk.step() { violated(problem) }
    }
    if let problem = isHostile ? walk.freshStart() : walk.settle() { violated(problem) }
  }
}

/// A used-up input decides 0 for ever, which still is an end: every wait of the walk is bounded.
struct ScriptDecisions: Decisions {
  var script: Script

  mutating func word() -> UInt64 { script.word64() }
  mutating func choice(_ count: Int) -> Int {
    count <= 256 ? script.choice(max(count, 1)) : Int(script.word16()) % count
  }
}

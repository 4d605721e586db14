// SPDX-License-Identifier: Apache-2.0

import ControlAPI

/// Where a machine is in its life, and what it went through.
struct Life: Sendable {
  var state = MachineState.starting
  var startedAt = Timestamp.now
  /// Monotonic nanoseconds.
  var startedAtMonotonic = MachineClock.monotonic()
  var resets = 0
  /// The last crash that the guest reported.
  var crash: ControlAPI.CrashReport?
  /// The crash policy has been set in motion for the crash at hand.
  var crashHandled = false
  /// Set once.
  var end: MachineEnd?
  /// What there is to say about the end, if anything.
  var endDetail: String?

  var isOver: Bool { end != nil }
}

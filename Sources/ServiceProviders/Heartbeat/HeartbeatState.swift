// SPDX-License-Identifier: Apache-2.0

/// What the heartbeat says about the guest.
public enum HeartbeatState: String, Hashable, Sendable {
  /// No heartbeat was answered since the channel was opened, or the channel is closed.
  case noContact
  case ok
  /// Heartbeats were answered and then stopped.
  case lost
}

/// The state with its times.
public struct HeartbeatStatus: Hashable, Sendable {
  public var state: HeartbeatState = .noContact
  /// Host time (100 ns since 1601 UTC) at which `state` began; 0 before the first call.
  public var since: UInt64 = 0
  /// Host time of the newest answer of all.
  public var lastAnswer: UInt64?
  public var answers: UInt64 = 0

  public init() {}
}

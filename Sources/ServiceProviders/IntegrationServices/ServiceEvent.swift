// SPDX-License-Identifier: Apache-2.0

import DeviceProtocols

/// Something to tell the administrator.
public enum ServiceEvent: Hashable, Sendable {
  case state(ServiceState)
  case heartbeat(HeartbeatState)
  /// The first fault of a kind since the channel was opened.
  case fault(ServiceFault)
  /// A reply came after its deadline.
  case lateReply
  case timeSent(TimeMessageKind)
  /// The guest agreed to shut down but is still there after the deadline.
  case shutdownOverdue
  case copyProgress(ServiceRequestID, copied: UInt64, of: UInt64)
  case snapshot(SnapshotEvent)
}

public enum SnapshotEvent: Hashable, Sendable {
  case frozen
  case thawed
  /// The hold time passed; the host thaws.
  case holdTimePassed
  /// The guest did not answer the freeze in time; the host thaws as soon as it can.
  case freezeTimedOut
  /// A thaw failed or went unanswered: the file systems may still be frozen. The host tries again.
  case thawFailed(ServiceError)
}

/// Which kind of time message went out.
public enum TimeMessageKind: String, Hashable, Sendable {
  /// Feeds the guest's PTP clock only.
  case sample
  /// Sets the guest's clock, because `TimePolicy.setInterval` has passed.
  case routineSet
  /// Sets the guest's clock, because it must be wrong: start, resume, a jump, or on request.
  case requiredSet
}

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
  /// A time message went out; `set`: the guest was told to set its clock.
  case timeSent(set: Bool)
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

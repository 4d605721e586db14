// SPDX-License-Identifier: Apache-2.0

/// What happened on a channel since the provider was made.
public struct ServiceCounters: Hashable, Sendable {
  public var opened: UInt64 = 0
  public var sent: UInt64 = 0
  public var replies: UInt64 = 0
  /// Replies that came after their deadline.
  public var late: UInt64 = 0
  /// Requests whose deadline passed without a reply.
  public var timeouts: UInt64 = 0
  /// Messages that were no valid reply, by kind.
  public var faults: [ServiceFault: UInt64] = [:]
  /// Events that found the queue full.
  public var droppedEvents: UInt64 = 0

  public init() {}
}

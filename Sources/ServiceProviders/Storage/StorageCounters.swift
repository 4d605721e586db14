// SPDX-License-Identifier: Apache-2.0

/// What a channel has seen since it was opened. A guest that misbehaves shows here, and nowhere else.
public struct StorageCounters: Hashable, Sendable {
  /// Commands handed out and ended.
  public var commands: UInt64 = 0
  public var completions: UInt64 = 0
  /// Packets that are too short, of a foreign type, with an unknown operation or with memory ranges that contradict
  /// themselves.
  public var malformed: UInt64 = 0
  /// Packets that are well-formed and not allowed now: commands before the handshake, a handshake out of turn.
  public var refused: UInt64 = 0
  /// Deliveries that found the ring full.
  public var blocked: UInt64 = 0

  public init() {}
}

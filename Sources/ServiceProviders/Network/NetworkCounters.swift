// SPDX-License-Identifier: Apache-2.0

/// What a channel has seen since it was opened. A guest that misbehaves shows here, and nowhere else.
public struct NetworkCounters: Hashable, Sendable {
  /// Frames of the guest that were handed out, and their bytes.
  public var transmittedFrames: UInt64 = 0
  public var transmittedBytes: UInt64 = 0
  /// Frames of the guest that were refused: too short, too long, nonsense about checksums or segments.
  public var transmitErrors: UInt64 = 0
  /// Frames that the guest got, and their bytes; parts of one count as one.
  public var receivedFrames: UInt64 = 0
  public var receivedBytes: UInt64 = 0
  /// Frames for which there was no section.
  public var receiveExhausted: UInt64 = 0
  /// Frames that the guest could not have: longer than it takes, or it is not ready.
  public var receiveErrors: UInt64 = 0
  /// Packets and messages that contradict themselves.
  public var malformed: UInt64 = 0
  /// Those that are well-formed and not allowed now.
  public var refused: UInt64 = 0
  /// Deliveries that found the ring full.
  public var blocked: UInt64 = 0

  public init() {}

  /// What the guest is told of it.
  public func add(to statistics: inout NetworkStatistics) {
    statistics.transmittedFrames &+= transmittedFrames
    statistics.transmittedBytes &+= transmittedBytes
    statistics.transmitErrors &+= transmitErrors
    statistics.receivedFrames &+= receivedFrames
    statistics.receivedBytes &+= receivedBytes
    statistics.receiveErrors &+= receiveErrors
    statistics.withoutBuffer &+= receiveExhausted
  }
}

// SPDX-License-Identifier: Apache-2.0

/// What one guest may make the server keep.
public struct BusServerLimits: Equatable, Sendable {
  /// Answers waiting for the message slot. Linux has one question per probing device under way.
  public var replies = 128
  /// GPADLs, complete or not. A network adapter has 3, other devices 1 a channel.
  public var gpadls = 8192
  /// 64-bit words (page frame numbers, and one for each range) in all GPADLs together: 8 bytes of host memory each. The
  /// default is guest buffers of 1 GiB; a network adapter uses up to 8192 of them for its receive buffer.
  public var gpadlWords = 262_144

  public init() {}
}

// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Seconds since the start of the year 2000, UTC.
public struct VHDTimestamp: Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  private static let epoch: Int64 = 946_684_800

  public init(unixTime: Int64) {
    rawValue = UInt32(clamping: unixTime &- Self.epoch)
  }

  public static var now: VHDTimestamp {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return VHDTimestamp(unixTime: Int64(time.tv_sec))
  }

  public var unixTime: Int64 { Int64(rawValue) + Self.epoch }
}

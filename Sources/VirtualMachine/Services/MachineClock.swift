// SPDX-License-Identifier: Apache-2.0

import Glibc
import ServiceProviders

/// Reads the clocks that the services are handed: providers never look at one themselves.
enum MachineClock {
  /// CLOCK_MONOTONIC in nanoseconds: it runs while the partition is paused, not while the host sleeps.
  static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

  /// All clocks at one instant. `referenceTime` is the partition's, 100 ns units, read by the caller just before.
  static func now(referenceTime: UInt64) -> ServiceClock {
    ServiceClock(
      monotonic: monotonic(), hostTime: read(CLOCK_REALTIME) / 100 &+ ServiceClock.unixEpoch,
      referenceTime: referenceTime)
  }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
  }
}

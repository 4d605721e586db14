// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The system's clocks, in nanoseconds.
enum Clock {
  static let second: UInt64 = 1_000_000_000

  static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    _ = unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) &* second &+ UInt64(time.tv_nsec)
  }

  static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

  /// Since 1970.
  static func wall() -> UInt64 { read(CLOCK_REALTIME) }
}

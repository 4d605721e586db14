// SPDX-License-Identifier: Apache-2.0

import ServiceProviders

/// Clocks that a test moves by hand.
struct TestClock {
  /// 2026-01-01 in 100 ns units since 1601.
  static let start: UInt64 = ServiceClock.unixEpoch + 1_767_225_600 * 10_000_000

  private(set) var now = ServiceClock(monotonic: 1_000_000_000, hostTime: start, referenceTime: 50_000_000)

  mutating func advance(seconds: Double, partitionRuns: Bool = true) {
    advance(nanoseconds: UInt64(seconds * 1e9), partitionRuns: partitionRuns)
  }

  mutating func advance(nanoseconds: UInt64, partitionRuns: Bool = true) {
    now.monotonic += nanoseconds
    now.hostTime += nanoseconds / 100
    if partitionRuns { now.referenceTime += nanoseconds / 100 }
  }

  mutating func setHostTime(by seconds: Int64) {
    now.hostTime = UInt64(Int64(now.hostTime) + seconds * 10_000_000)
  }
}

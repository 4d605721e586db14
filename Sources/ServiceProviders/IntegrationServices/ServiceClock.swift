// SPDX-License-Identifier: Apache-2.0

/// The clocks at one instant, read by the owner: providers never look at a clock themselves.
public struct ServiceClock: Hashable, Sendable {
  /// Host monotonic time in nanoseconds; runs while the partition is paused.
  public var monotonic: UInt64
  /// Host wall-clock time in 100 ns units since 1601-01-01 UTC.
  public var hostTime: UInt64
  /// The partition's reference time in 100 ns units: what the guest reads from TIME_REF_COUNT at this instant.
  public var referenceTime: UInt64

  public init(monotonic: UInt64, hostTime: UInt64, referenceTime: UInt64) {
    self.monotonic = monotonic
    self.hostTime = hostTime
    self.referenceTime = referenceTime
  }

  /// 1970-01-01 in units of `hostTime`.
  public static let unixEpoch: UInt64 = 116_444_736_000_000_000
}

// SPDX-License-Identifier: Apache-2.0

/// How often the guest is told the time, nanoseconds.
///
/// A sample only feeds the guest's PTP clock; without a program such as chrony that reads it, a stock Linux 6.1 corrects
/// nothing (`adj_guesttime` in drivers/hv/hv_util.c sets the clock for the synchronize flag alone; 6.12 has the module
/// parameter timesync_implicit, off by default). The host cannot see the guest's clock either. So besides the moments
/// at which the host knows that the guest must be wrong (start, resume, a jump of its own clock, a long gap), every
/// `setInterval` one message sets the clock: a clock that was set wrong inside the guest is right again within that
/// time. With protocol 4 the message carries the reference time, so a right clock is moved by microseconds only.
public struct TimePolicy: Hashable, Sendable {
  public var sampleInterval: UInt64
  /// nil: only when there is a reason. For guests that keep their own time by NTP.
  public var setInterval: UInt64?

  public init(sampleInterval: UInt64 = 5 * ServiceLimits.second, setInterval: UInt64? = 20 * ServiceLimits.second) {
    self.sampleInterval = sampleInterval
    self.setInterval = setInterval
  }

  /// As Hyper-V does it: samples, and setting only for a reason.
  public static let samplesOnly = TimePolicy(setInterval: nil)
}

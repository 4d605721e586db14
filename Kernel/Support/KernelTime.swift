// SPDX-License-Identifier: Apache-2.0

import CKernel

/// The kernel's clocks.
public enum KernelTime {
  /// Since the boot, without the time asleep.
  public static var nanoseconds: UInt64 { ks_nanoseconds() }
  /// Since 1970.
  public static var realNanoseconds: UInt64 { ks_real_nanoseconds() }
  public static var jiffies: UInt64 { ks_jiffies() }
  public static var jiffiesPerSecond: UInt32 { ks_jiffies_per_second() }

  /// At least; where sleeping is allowed.
  public static func sleep(milliseconds: UInt32) { ks_sleep(milliseconds) }
  /// Keeps the processor busy; any context, up to a thousand.
  public static func delay(microseconds: UInt32) { ks_delay(microseconds) }
}

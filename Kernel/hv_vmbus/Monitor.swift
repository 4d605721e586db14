// SPDX-License-Identifier: Apache-2.0

import CVMBus
import VMBus

/// What a monitor page says of one monitor; `what` is one of VB_MONITOR_*. Without a lock: a word of the page's own.
@c(monitor_value)
public func monitorValue(_ page: UnsafeMutableRawPointer, _ monitor: UInt32, _ what: UInt32) -> UInt32 {
  let page = unsafe MonitorPage(page: page)
  let monitor = UInt8(truncatingIfNeeded: monitor)
  return switch what {
  case UInt32(VB_MONITOR_PENDING): page.pending(monitor)
  case UInt32(VB_MONITOR_LATENCY): UInt32(page.latency(monitor))
  default: page.connection(monitor)
  }
}

// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import Synchronization

/// One line on standard error that is drawn over itself, at most ten times a second, and only on a terminal.
final class ProgressLine: Sendable {
  private let progress: CopyProgress
  private let started = ContinuousClock.now
  private let isShown = isatty(2) == 1
  private let lastDrawn = Mutex<ContinuousClock.Instant?>(nil)

  init(_ byteCount: UInt64) { progress = CopyProgress(byteCount: byteCount) }

  func draw(_ copied: UInt64) {
    guard isShown else { return }
    let now = ContinuousClock.now
    let isDue = lastDrawn.withLock { last in
      if let last, now - last < .milliseconds(100), copied < progress.byteCount { return false }
      last = now
      return true
    }
    guard isDue else { return }
    let seconds = Double((now - started) / .milliseconds(1)) / 1000
    StandardError.raw("\r\u{1b}[K\(progress.line(copied: copied, seconds: seconds))")
  }

  /// Wipes the line.
  func end() {
    if isShown { StandardError.raw("\r\u{1b}[K") }
  }
}

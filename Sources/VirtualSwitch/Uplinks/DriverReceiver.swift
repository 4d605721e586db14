// SPDX-License-Identifier: Apache-2.0

/// Who gets what a driver reads.
protocol DriverReceiver: AnyObject, Sendable {
  /// For one thread that reads.
  func makeInlet() -> any DriverInlet
  /// Called once the driver was opened, and when it ended, with the reason.
  func linkChanged(up: Bool, _ reason: String)
}

protocol DriverInlet: AnyObject {
  func take(_ frame: FrameView)
  func flush()
}

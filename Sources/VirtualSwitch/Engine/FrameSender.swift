// SPDX-License-Identifier: Apache-2.0

/// Sends frames to a switch from one thread at a time.
public protocol FrameSender: AnyObject {
  /// False: it went nowhere; the reason is counted at the port.
  @discardableResult
  func send(_ frame: FrameView) -> Bool

  /// Ends a burst: receivers are told of what they got since the last one.
  func flush()
}
